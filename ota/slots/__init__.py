"""What runs and what comes next: the two-record store and the state machine of the crash table."""

"""What is true: verified metadata, both repositories in agreement, floors, and the time that they are judged by."""

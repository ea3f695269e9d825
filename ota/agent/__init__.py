"""The process that updates a device: asks, fetches, switches, judges, tells; gone while there is nothing to do."""

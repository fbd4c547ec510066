"""What every process needs to run: configuration, logs, ids, clocks, lifecycle."""

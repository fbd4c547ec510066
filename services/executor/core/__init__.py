"""Decisions of executor: synchronous, deterministic, no I/O; time is an argument."""

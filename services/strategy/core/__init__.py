"""Decisions of strategy: synchronous, deterministic, no I/O; time is an argument."""

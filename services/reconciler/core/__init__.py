"""Decisions of reconciler: synchronous, deterministic, no I/O; time is an argument."""

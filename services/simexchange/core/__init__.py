"""Decisions of simexchange: synchronous, deterministic, no I/O; time is an argument."""

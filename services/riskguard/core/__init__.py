"""Decisions of riskguard: synchronous, deterministic, no I/O; time is an argument."""

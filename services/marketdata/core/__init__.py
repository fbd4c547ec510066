"""Decisions of marketdata: synchronous, deterministic, no I/O; time is an argument."""

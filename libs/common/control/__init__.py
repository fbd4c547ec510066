"""Halting and resuming as all services understand it."""

"""Metrics from one table, trace context."""

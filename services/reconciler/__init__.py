"""Compares what we believe with what the venue says, and stops trading when they differ."""

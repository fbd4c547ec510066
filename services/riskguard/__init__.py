"""Halts trading, resumes it, and holds the account to its limits."""

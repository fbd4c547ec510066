"""Pre-trade rules: one file and one registry line each."""

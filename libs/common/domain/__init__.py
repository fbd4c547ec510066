"""Exact units and the nouns of the trade; pure, no I/O."""

"""Turns a book, a position and a configuration into a target: a pure function of its messages."""

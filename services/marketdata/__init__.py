"""Keeps the truth about books and publishes it, whole, on every change."""

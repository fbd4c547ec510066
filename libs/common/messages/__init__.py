"""Structs that cross the bus: JSON by msgspec, frozen, version in the name."""

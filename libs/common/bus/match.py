"""Which subjects a pattern means: ``*`` is one token, ``>`` at the end is one or more."""

from __future__ import annotations


def matches(pattern: str, subject: str) -> bool:
    """Return whether the subject falls under the pattern."""
    if pattern == subject:
        return True
    wanted, tokens = pattern.split("."), subject.split(".")
    for place, word in enumerate(wanted):
        if word == ">":
            return len(tokens) > place
        if place >= len(tokens) or word not in ("*", tokens[place]):
            return False
    return len(wanted) == len(tokens)


def overlaps(one: str, other: str) -> bool:
    """Return whether some subject falls under both patterns."""
    left, right = one.split("."), other.split(".")
    for place in range(max(len(left), len(right))):
        a = left[place] if place < len(left) else None
        b = right[place] if place < len(right) else None
        if a is None or b is None:
            return False
        if a == ">" or b == ">":
            return True
        if a != b and "*" not in (a, b):
            return False
    return True

"""Patterns mean what the server says they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.bus.match import matches, overlaps

TOKENS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)
PATTERNS = st.builds(
    lambda words, tail: ".".join([*words, *tail]),
    st.lists(st.sampled_from(["a", "b", "c", "*"]), min_size=1, max_size=3),
    st.sampled_from([[], [">"]]),
)


@pytest.mark.parametrize(
    ("pattern", "subject", "is_match"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("*.b", "a.b", True),
        ("a.b", "a.b.c", False),
        ("a.b.c", "a.b", False),
        (">", "a", True),
    ],
)
def test_a_pattern_matches(pattern: str, subject: str, is_match: bool) -> None:
    assert matches(pattern, subject) is is_match


@given(PATTERNS, PATTERNS, TOKENS)
def test_patterns_that_share_a_subject_overlap(one: str, other: str, tokens: list[str]) -> None:
    subject = ".".join(tokens)
    if matches(one, subject) and matches(other, subject):
        assert overlaps(one, other)
        assert overlaps(other, one)


@given(PATTERNS, PATTERNS)
def test_patterns_that_overlap_share_a_subject(one: str, other: str) -> None:
    if not overlaps(one, other):
        return
    left, right = one.split("."), other.split(".")
    length = max(len(left), len(right))

    def word(words: list[str], place: int) -> str:
        return words[place] if place < len(words) and words[place] not in ("*", ">") else "*"

    tokens = [word(left, n) if word(left, n) != "*" else word(right, n) for n in range(length)]
    subject = ".".join("a" if token == "*" else token for token in tokens)
    assert matches(one, subject)
    assert matches(other, subject)

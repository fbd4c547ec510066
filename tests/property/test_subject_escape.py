"""Keys survive their way through a subject, and through the bucket's keys, whatever they contain."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.env import Env
from libs.common.subjects import FAMILIES, Subjects, escape, unescape

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
TOKENS = st.text(st.sampled_from("=0123456789ABCDEFabcz._-%"), min_size=1, max_size=12)


@given(KEYS)
def test_escaping_is_reversible_and_gives_one_plain_token(key: str) -> None:
    token = escape(key)
    assert unescape(token) == key
    assert re.fullmatch(r"[A-Za-z0-9_=-]+", token)


@given(KEYS, KEYS)
def test_different_keys_have_different_tokens(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@given(TOKENS)
def test_a_token_that_is_read_is_the_one_form_of_its_key(token: str) -> None:
    try:
        key = unescape(token)
    except ValueError:
        return
    assert escape(key) == token


@given(st.sampled_from(FAMILIES), st.sampled_from(list(Env)), st.lists(KEYS, min_size=1, max_size=3))
def test_keys_come_back_from_the_subject_they_were_put_into(
    family: object, env: Env, keys: list[str]
) -> None:
    name = family.name  # type: ignore[attr-defined]  # sampled from a tuple of families
    subjects = Subjects(env)
    subject = subjects.of(name, *keys)
    assert subjects.keys_of(name, subject) == tuple(keys)
    for other in Env:
        if other is not env:
            with pytest.raises(ValueError, match="subject under"):
                Subjects(other).keys_of(name, subject)

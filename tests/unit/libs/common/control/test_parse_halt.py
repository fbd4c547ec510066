"""A halt as long as anybody likes: it halts, and what is kept of it fits into every message that tells it."""

from __future__ import annotations

import json

import pytest

from libs.common.messages.base import encode
from libs.common.messages.control import GateState, HaltV1, ScopeKind, parse_halt

_STORED_MAX = 64 * 1024
"""What the CONTROL stream takes."""


@pytest.mark.parametrize("letter", ["x", "ü", "\u0001", "😀"])
def test_halt_of_any_length_is_one_that_can_be_stored_again(letter: str) -> None:
    long = letter * 100_000
    data = json.dumps({"reason": long, "trigger": long, "by": long, "level": "cancel_only"}).encode()
    halt = parse_halt(data)
    assert halt.level is GateState.CANCEL_ONLY
    assert halt.reason.startswith(letter)
    again = HaltV1(reason=f"heard from operator: {halt.reason}", trigger=halt.trigger, by=halt.by)
    assert len(encode(again)) < _STORED_MAX
    assert parse_halt(encode(again)) == again, "its copy is known as its copy"


def test_halt_whose_key_is_too_long_to_be_one_halts_the_account() -> None:
    for length, scope in ((200, ScopeKind.MARKET), (201, ScopeKind.ACCOUNT)):
        halt = parse_halt(encode(HaltV1(reason="x", scope=ScopeKind.MARKET, scope_key="K" * length)))
        assert halt.scope is scope

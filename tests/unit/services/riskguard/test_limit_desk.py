"""Where limits are changed: down in one step, up in two, with who, why and until when."""

from __future__ import annotations

import json
import random

import msgspec
import pytest

from libs.common.control.limits import RAISE_MS_MAX, LimitFold, LimitNow
from libs.common.control.signing import Verifier
from services.riskguard.core.limit_changes import is_changeable
from services.riskguard.core.limit_desk import (
    LimitAnswer,
    LimitDesk,
    LimitRequest,
    SetLimit,
    read_request,
)
from tests.support.resumes import UNSIGNED, Person, a_limit, verifier_of

AT_MS = 1_700_000_000_000
LIFE_NS = 60_000_000_000
NONCE = "n" * 32
NAME, CAP = "position_e2", 100
HOUR_MS = 3_600_000


class Desk:
    """A desk, one limit of 100 that was lowered to 50, and a clock."""

    def __init__(self, verifier: Verifier = UNSIGNED) -> None:
        self.desk = LimitDesk(LIFE_NS, verifier)
        self.fold = LimitFold("main")
        self.fold.take(1, a_limit(NAME, 50))
        self.now_ns = 0
        self.is_known = True

    def ask(self, value: int, **more: object) -> LimitAnswer | SetLimit:
        data = json.dumps({"name": NAME, "value": value, "reason": "r", "by": "ann", **more}).encode()
        request = read_request(data)
        assert isinstance(request, LimitRequest), request
        now: LimitNow | None = self.fold.now(NAME, CAP, AT_MS) if self.is_known else None
        return self.desk.on_request(request, now, self.fold, self.now_ns, AT_MS, NONCE)

    def refused(self, value: int, **more: object) -> str:
        answer = self.ask(value, **more)
        assert isinstance(answer, LimitAnswer)
        assert not answer.is_accepted
        return "; ".join(answer.refusals)

    def offer(self, value: int = 80, **more: object) -> LimitAnswer:
        answer = self.ask(value, **{"until_ms": AT_MS + HOUR_MS, **more})
        assert isinstance(answer, LimitAnswer)
        assert answer.is_accepted, answer.refusals
        return answer


def test_down_is_one_step_without_nonce_or_fence() -> None:
    done = Desk().ask(49)
    assert isinstance(done, SetLimit)
    assert (done.limit.value, done.limit.nonce, done.after) == (49, "", None)


def test_up_is_two_steps_behind_the_newest_change() -> None:
    desk = Desk()
    answer = desk.offer()
    assert (answer.value, answer.cap, answer.nonce) == (50, CAP, NONCE)
    assert answer.change is not None
    assert answer.change.by == "ann", "who holds it where it is"
    done = desk.ask(80, until_ms=AT_MS + HOUR_MS, nonce=NONCE)
    assert isinstance(done, SetLimit)
    assert (done.limit.value, done.limit.after, done.after) == (80, 1, 1)
    assert "none" in desk.refused(80, until_ms=AT_MS + HOUR_MS, nonce=NONCE), "a nonce works once"


@pytest.mark.parametrize(
    ("value", "more", "word"),
    [
        (101, {"until_ms": AT_MS + HOUR_MS}, "what the configuration says, 100"),
        (80, {}, "an end"),
        (80, {"until_ms": AT_MS + RAISE_MS_MAX + 1}, "an end"),
        (80, {"until_ms": AT_MS}, "still to come"),
        (40, {"until_ms": AT_MS - 1}, "still to come"),
        (50, {"until_ms": AT_MS + HOUR_MS}, "another value"),
    ],
)
def test_up_is_within_the_configuration_and_has_an_end(value: int, more: dict[str, int], word: str) -> None:
    assert word in Desk().refused(value, **more)


def test_second_step_is_void_when_anything_changed_between() -> None:
    until = {"until_ms": AT_MS + HOUR_MS}
    for change in (
        {"value": 81},
        {"by": "bob"},
        {"reason": "x"},
        {"until_ms": AT_MS + 1},
        {"nonce": "other"},
    ):
        desk = Desk()
        desk.offer()
        asked = {"value": 80, "nonce": NONCE, **until, **change}
        assert desk.refused(**asked)  # type: ignore[arg-type]
    desk = Desk()
    desk.offer()
    desk.fold.take(2, a_limit("drawdown_e6", 1))
    assert "newer" in desk.refused(80, nonce=NONCE, **until)
    desk = Desk()
    desk.offer()
    desk.now_ns = LIFE_NS + 1
    assert "older" in desk.refused(80, nonce=NONCE, **until)


def test_up_needs_the_modes_signatures_and_down_needs_none() -> None:
    ann, bob = Person("ann"), Person("bob")
    desk = Desk(verifier_of(ann, bob, required=2))
    assert isinstance(desk.ask(10), SetLimit)
    offer = desk.offer().offer
    assert offer is not None
    more = {"until_ms": AT_MS + HOUR_MS, "nonce": NONCE}
    assert "2 signatures" in desk.refused(80, signatures=[ann.sign(offer)], **more)
    assert isinstance(desk.ask(80, signatures=[ann.sign(offer), bob.sign(offer)], **more), SetLimit)
    assert "people in control.signers" in Desk(verifier_of(ann, required=2)).refused(
        80, until_ms=AT_MS + HOUR_MS
    )


def test_limit_whose_owner_is_silent_can_be_tightened_and_a_record_of_that_never_loosens() -> None:
    desk = Desk()
    desk.is_known = False
    done = desk.ask(80)
    assert isinstance(done, SetLimit)
    desk.fold.take(2, done.limit)
    assert desk.fold.now(NAME, CAP, AT_MS).value == 50


def test_garbage_changes_nothing() -> None:
    chance, right = random.Random(1), b'{"name":"position_e2","value":1,"reason":"r","by":"ann"}'
    for _ in range(2_000):
        data = bytearray(right)
        data[chance.randrange(len(data))] = chance.randrange(256)
        read = read_request(bytes(data))
        assert isinstance(read, str) or msgspec.json.decode(bytes(data))["value"] == read.value
    for words in (b"", b"[]", b'{"name":"x","value":-1,"reason":"r","by":"b"}', b'{"value":1}'):
        assert isinstance(read_request(words), str)


def test_settings_are_no_limits() -> None:
    for name in (
        "money.losses_window",
        "health.boots_window_ms",
        "slow.tier_warn_days",
        "money.markout_fills",
    ):
        assert not is_changeable(name)
    for name in ("position_e2", "money.balance_drop_e6", "trading_enabled", "orders_per_s_max"):
        assert is_changeable(name)

"""`unknown_age`: the executor has not known an order's fate for too long."""

from __future__ import annotations

from libs.common.messages.execution import OrderState
from services.riskguard.core.conduct.view import ConductView
from tests.support.conduct_builders import Seen, fired
from tests.support.truth_builders import MS, client_id, epoch_event, order_event


def says(seen: Seen, state: OrderState, number: int = 1, **changes: object) -> None:
    stamp = {"updated_ns": seen.now_ms * MS, "version": seen.now_ns}
    seen.area.on_order(order_event(number, state=state, **{**stamp, **changes}), seen.now_ns)


def test_it_fires_above_its_limit_and_latches() -> None:
    at, over = ConductView(oldest_unknown_ms=60_000), ConductView(oldest_unknown_ms=60_001)
    assert fired("unknown_age", at, unknown_age_ms=60_000) is None
    told = fired("unknown_age", over, unknown_age_ms=60_000)
    assert told is not None
    assert (told.limit, told.was, told.is_latching) == (60_000, 60_001, True)


def test_a_doubt_ages_until_it_ends() -> None:
    seen = Seen()
    says(seen, OrderState.SENT)
    seen.wait(1)
    says(seen, OrderState.UNKNOWN)
    seen.wait(40)
    says(seen, OrderState.UNKNOWN, 2)
    seen.wait(20.001)
    view = seen.view()
    assert (view.oldest_unknown, view.oldest_unknown_ms) == (client_id(1), 60_001)
    assert fired("unknown_age", view, unknown_age_ms=60_000) is not None
    says(seen, OrderState.RESTING)
    assert seen.view().oldest_unknown == client_id(2)
    says(seen, OrderState.REFUSED, 2)
    assert seen.view().oldest_unknown_ms == 0


def test_the_same_word_again_and_an_older_one_late_change_nothing() -> None:
    seen = Seen()
    unknown = {"updated_ns": 5, "version": 3}
    says(seen, OrderState.UNKNOWN, **unknown)
    seen.wait(30)
    says(seen, OrderState.UNKNOWN, **unknown)
    assert seen.view().oldest_unknown_ms == 30_000
    says(seen, OrderState.CANCELLED, updated_ns=6, version=4)
    says(seen, OrderState.UNKNOWN, **unknown)
    assert seen.view().oldest_unknown_ms == 0


def test_a_new_leader_settles_what_its_predecessor_left_open() -> None:
    seen = Seen()
    says(seen, OrderState.UNKNOWN, epoch=1)
    seen.area.on_epoch(epoch_event(2), 9, seen.now_ns)
    seen.wait(100)
    assert seen.view().oldest_unknown_ms == 0
    says(seen, OrderState.UNKNOWN, epoch=1, updated_ns=seen.now_ms * MS, version=1)
    seen.wait(1)
    seen.area.on_epoch(epoch_event(1), 4, seen.now_ns)
    assert seen.view().oldest_unknown_ms == 1_000

"""An order that evidence does not settle is handed over within a minute, once, and settled by proof only."""

from __future__ import annotations

import pytest

from libs.common.kalshi.model import Unknown, VenueOrderStatus
from libs.common.messages.execution import OrderState
from services.executor.core.conflicts import Conflicts
from services.executor.core.effects import Log
from services.executor.core.orders import OwnOrder
from tests.support.executor_builders import MARKET, Desk, a_desk, a_fill, a_quote, batches, told

READS_SETTLE_S = 15


def unknown(desk: Desk) -> OwnOrder:
    effects = desk.quote(a_quote())
    (batch,) = batches(effects)
    client = batch.creates[0].request.client_order_id
    desk.engine.intake.on_create_answer(client, Unknown(0, "timeout"), desk.now)
    desk.engine.batch_answered()
    order = desk.engine.account.orders.by_client(client)
    assert order is not None
    return order


def events(desk: Desk, seconds: float, step_s: float = 0.5) -> list[tuple[float, Log]]:
    """Let virtual time run; return what was logged and when."""
    heard = []
    for step in range(int(seconds / step_s)):
        desk.later(step_s)
        desk.prove()
        heard += [(step * step_s, e) for e in desk.engine.on_tick(desk.now) if isinstance(e, Log)]
    return heard


def of(heard: list[tuple[float, Log]], event_type: str) -> list[tuple[float, Log]]:
    return [(at, log) for at, log in heard if log.event_type == event_type]


def test_unknown_order_without_any_evidence_is_handed_over_within_a_minute_and_once() -> None:
    desk = a_desk()
    order = unknown(desk)
    heard = events(desk, 180)
    ((at_s, log),) = of(heard, "ORDER_CONFLICT")
    assert at_s <= 60
    assert log.fields["client_order_id"] == order.client_order_id
    assert (log.fields["market"], log.fields["open_e2"], log.fields["reason"]) == (MARKET, 500, "timeout")
    assert desk.engine.gauges()["conflicts_open"] == 1
    (row,) = desk.engine.conflicts.rows()
    assert row.open_ms > 170_000
    # Still in quarantine, still counted, never sent again.
    assert desk.engine.account.orders.has_unknown(MARKET)
    assert [one.qty_e2 for one in desk.engine.account.orders.opened(MARKET)] == [500]
    assert batches(desk.quote(a_quote(), sequence=2)) == []


@pytest.mark.parametrize("outage_s", [0, 10, 30, 40])
def test_unknown_order_is_proven_absent_as_soon_as_reads_work_and_within_a_minute(outage_s: int) -> None:
    desk = a_desk()
    order = unknown(desk)
    began_ns, proven_s = desk.now.ns, None
    for step in range(120):
        desk.later(0.5)
        desk.prove()
        assert not of([(0, e) for e in desk.engine.on_tick(desk.now) if isinstance(e, Log)], "ORDER_CONFLICT")
        if step * 0.5 >= outage_s:
            desk.engine.intake.on_absent(order, desk.now.ns, desk.now)
        if not order.is_live:
            proven_s = (desk.now.ns - began_ns) / 1e9
            break
    assert order.state is OrderState.REFUSED
    assert proven_s is not None
    assert proven_s <= max(READS_SETTLE_S, outage_s + 3)


def test_late_evidence_ends_a_conflict() -> None:
    desk = a_desk()
    order = unknown(desk)
    events(desk, 60)
    assert desk.engine.conflicts.count == 1
    now = desk.later(2)
    desk.engine.intake.on_read_order(told(order, order_id="venue-1", updated_ms=now.ms), now.ns, now)
    heard = events(desk, 2)
    assert len(of(heard, "ORDER_SETTLED")) == 1
    assert desk.engine.gauges()["conflicts_open"] == 0
    assert order.state is OrderState.RESTING


def test_proof_ends_an_order_by_what_the_venue_shows_and_never_by_a_lagging_read() -> None:
    desk = a_desk()
    order = unknown(desk)
    intake = desk.engine.intake
    intake.on_proof(order, told(order, order_id="venue-1"), desk.now)
    assert order.is_unknown, "still resting is what a lagging read says"
    ended = told(order, order_id="venue-1", status=VenueOrderStatus.CANCELED, filled_e2=200, remaining_e2=0)
    intake.on_proof(order, ended, desk.now)
    assert (order.state, order.filled_e2, order.open_e2) == (OrderState.CANCELLED, 200, 200)
    intake.on_fill(a_fill(order, 200, order_id="venue-1"), desk.now)
    assert order.open_e2 == 0


def test_proof_of_a_named_order_that_no_read_shows_keeps_the_fills_that_were_told() -> None:
    desk = a_desk()
    order = unknown(desk)
    desk.engine.intake.on_fill(a_fill(order, 200, order_id="venue-1"), desk.now)
    desk.engine.intake.on_proof(order, None, desk.now)
    assert (order.state, order.filled_e2, order.booked_e2) == (OrderState.CANCELLED, 200, 200)


def test_order_settled_and_open_again_gets_a_whole_new_minute() -> None:
    desk, conflicts = a_desk(), Conflicts()
    order = unknown(desk)
    conflicts.look([order], desk.now)
    conflicts.look([], desk.later(30))
    order.unknown_ns = desk.later(10).ns
    conflicts.look([order], desk.now)
    assert conflicts.look([order], desk.later(50)) == []
    assert [type(e) for e in conflicts.look([order], desk.later(9))] == [Log]

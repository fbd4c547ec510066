"""People's orders in the core: one order a request, refusals with reasons, ways made and waited for."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.control.latch import LatchState
from libs.common.domain.side import Side
from libs.common.kalshi.model import Accepted, Refused, Unknown
from libs.common.messages.control import GateState
from libs.common.messages.execution import OrderState, Purpose
from libs.common.messages.orders import ConfirmationV1, ConfirmStatus, PlaceAskV1
from services.executor.core.answers import NotSent
from services.executor.core.effects import (
    Confirmed,
    Effect,
    Lane,
    MakeGroup,
    ReadOrder,
    RecordAudit,
    SendCancels,
)
from services.executor.core.requests import CreateRequest
from tests.support.executor_builders import (
    MARKET,
    Desk,
    a_desk,
    a_fill,
    a_quote,
    a_top,
    accepted,
    batches,
    cancels,
    full_buckets,
)


def an_ask(**changes: Any) -> PlaceAskV1:
    fields: dict[str, Any] = {
        "request_id": "r1",
        "account": "main",
        "market": MARKET,
        "side": Side.BID,
        "price_e4": 4_900,
        "qty_e2": 500,
        "by": "me",
        "reason": "test",
    }
    return PlaceAskV1(**(fields | changes))


def an_exit(**changes: Any) -> PlaceAskV1:
    return an_ask(**({"mode": Purpose.EXIT, "side": Side.ASK, "price_e4": 4_700} | changes))


def place(desk: Desk, ask: PlaceAskV1) -> list[Effect]:
    assert not desk.engine.direct.complaint(ask)
    return desk.engine.direct.place(ask, desk.now)


def told(effects: list[Effect]) -> ConfirmationV1:
    (one,) = [effect.confirmation for effect in effects if isinstance(effect, Confirmed)]
    return one


def request_of(effects: list[Effect]) -> CreateRequest:
    (batch,) = batches(effects)
    (approved,) = batch.creates
    assert isinstance(approved.request, CreateRequest)
    return approved.request


def answer(desk: Desk, client: str, outcome: Accepted | Refused | Unknown | NotSent) -> None:
    desk.engine.intake.on_create_answer(client, outcome, desk.now)
    desk.engine.batch_answered()


def long(desk: Desk, qty_e2: int = 500) -> None:
    """Hold YES by a manual order that filled."""
    request = request_of(place(desk, an_ask(request_id="buy", qty_e2=qty_e2)))
    client = request.client_order_id
    answer(desk, client, accepted(client, remaining_e2=0, filled_e2=qty_e2))
    order = desk.engine.account.orders.by_client(client)
    assert order is not None
    desk.engine.intake.on_fill(a_fill(order, qty_e2, trade_id="long"), desk.now)
    assert told(desk.engine.run_pass(desk.now)).status is ConfirmStatus.FILLED
    desk.later(1.5)
    desk.prove()


def test_manual_order_takes_the_way_of_every_order() -> None:
    desk = a_desk()
    effects = place(desk, an_ask())
    (batch,) = batches(effects)
    request = request_of(effects)
    assert (batch.lane, batch.markets) == (Lane.SINGLE, (MARKET,))
    assert (request.post_only, request.reduce_only, request.is_immediate) == (False, False, False)
    assert request.expires_ms == desk.now.ms + 90_000, "it ends by itself if we do not live to cancel it"
    (item,) = batch.intent.items
    assert (item.purpose, item.decision_id) == (Purpose.MANUAL, f"{desk.engine.account.run}:{MARKET}:ask-r1")
    asked = next(effect.audit for effect in effects if isinstance(effect, RecordAudit))
    assert (asked.event_type, asked.by, asked.reason, asked.decision_id) == (
        "ORDER_ASKED",
        "me",
        "test",
        item.decision_id,
    )
    assert desk.engine.quoter.batches_open == 1


def test_exit_is_immediate_and_reduces_only() -> None:
    desk = a_desk()
    long(desk)
    request = request_of(place(desk, an_exit()))
    assert (request.reduce_only, request.is_immediate, request.expires_ms) == (True, True, 0)
    assert request.is_exit


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"request_id": ""}, "request_id"),
        ({"request_id": "a.b"}, "request_id"),
        ({"request_id": "x" * 49}, "request_id"),
        ({"account": "other"}, "account"),
        ({"mode": Purpose.MAKER}, "mode"),
        ({"by": ""}, "by and reason"),
        ({"reason": ""}, "by and reason"),
        ({"qty_e2": 0}, "qty_e2"),
        ({"price_e4": 0}, "price_e4"),
        ({"price_e4": 10_000}, "price_e4"),
        ({"max_wait_s": 0.0}, "max_wait_s"),
        ({"max_wait_s": 241.0}, "max_wait_s"),
        ({"poll_s": 0.0}, "poll_s"),
    ],
)
def test_request_that_is_none_is_told_what_is_wrong(change: dict[str, Any], word: str) -> None:
    assert a_desk().engine.direct.complaint(an_ask(**change)).startswith(word)


def test_same_request_makes_one_order_and_another_under_its_id_is_refused() -> None:
    desk = a_desk()
    assert batches(place(desk, an_ask()))
    assert place(desk, an_ask()) == []
    assert "another order" in desk.engine.direct.complaint(an_ask(qty_e2=400))
    client = next(iter(desk.engine.account.orders.live())).client_order_id
    answer(desk, client, NotSent("halt_heard"))
    first = told(desk.engine.run_pass(desk.now))
    assert (first.status, "halt_heard" in first.error_message) == (ConfirmStatus.ERROR, True)
    assert place(desk, an_ask()) == []
    assert desk.engine.direct.answer("r1") == first


def test_refusal_of_a_rule_is_told_with_limit_and_value_and_leaves_nothing_behind() -> None:
    desk = a_desk()
    refused = told(place(desk, an_ask(price_e4=9_900)))
    assert (refused.status, refused.order) == (ConfirmStatus.ERROR, None)
    assert "price_collar: limit 1000, was 4900" in refused.error_message
    assert list(desk.engine.account.orders.live()) == []
    assert desk.engine.quoter.batches_open == 0


def test_closed_gate_refuses_manual_orders_with_its_reasons() -> None:
    desk = a_desk()
    desk.later(10)
    refused = told(place(desk, an_ask()))
    assert "permit_risk_old" in refused.error_message


def test_unknown_market_and_unknown_order_are_refused() -> None:
    desk = a_desk()
    assert "no such market" in told(place(desk, an_ask(market="M-9", request_id="r0"))).error_message
    client = request_of(place(desk, an_ask())).client_order_id
    answer(desk, client, Unknown(0, "timeout"))
    other = told(place(desk, an_ask(request_id="r2")))
    assert "unknown" in other.error_message


def test_exit_without_a_position_on_its_side_is_refused() -> None:
    desk = a_desk()
    assert "no position" in told(place(desk, an_exit())).error_message
    long(desk)
    same = told(place(desk, an_exit(request_id="r3", side=Side.BID, price_e4=4_900)))
    assert "no position" in same.error_message


def test_missing_group_is_asked_for_once_and_waited_for() -> None:
    desk = a_desk()
    groups = dict(desk.engine.account.groups)
    desk.engine.account.groups.clear()
    effects = place(desk, an_ask())
    assert [effect.shard for effect in effects if isinstance(effect, MakeGroup)] == [0]
    assert desk.engine.direct.run(desk.now) == []
    desk.engine.account.groups.update(groups)
    assert batches(desk.engine.direct.run(desk.now))


def test_group_that_never_comes_ends_the_wait_with_the_reason() -> None:
    desk = a_desk()
    desk.engine.account.groups.clear()
    place(desk, an_ask())
    desk.later(5.1)
    desk.prove()
    assert "no order group on shard 0" in told(desk.engine.direct.run(desk.now)).error_message


def test_tokens_are_waited_for() -> None:
    buckets = full_buckets(write=100)
    desk = a_desk(buckets=buckets)
    while not buckets.acquire(10, desk.now.ns, 0):
        pass
    assert not batches(place(desk, an_ask()))
    desk.later(0.5)
    desk.prove()
    assert batches(desk.engine.direct.run(desk.now))


def test_planner_leaves_a_manual_order_alone_and_quotes_keep_clear_of_it() -> None:
    desk = a_desk()
    client = request_of(place(desk, an_ask(price_e4=5_000))).client_order_id
    answer(desk, client, accepted(client, "venue-m", remaining_e2=500))
    effects = desk.quote(a_quote(Side.BID, 4_800), a_quote(Side.ASK, 5_000))
    assert cancels(effects) == []
    made = [one.request for batch in batches(effects) for one in batch.creates]
    assert [request.side for request in made] == [Side.BID], "an ask at 5_000 would meet the manual bid"
    assert cancels(desk.quote(sequence=2)) == []
    order = desk.engine.account.orders.by_client(client)
    assert order is not None
    assert order.state is OrderState.RESTING


def test_exit_cancels_own_quotes_in_its_way_first_and_holds_new_ones_back() -> None:
    desk = a_desk()
    long(desk)
    (quote,) = desk.accept_all(desk.quote(a_quote(Side.BID, 4_800)))
    effects = place(desk, an_exit())
    assert (cancels(effects), batches(effects)) == ([quote.order_id], [])
    assert desk.engine.direct.run(desk.now) == [], "asked once"
    desk.accept_all([effect for effect in effects if not isinstance(effect, RecordAudit)])
    effects = desk.engine.run_pass(desk.now)
    assert request_of(effects).is_exit
    later = desk.quote(a_quote(Side.BID, 4_600), sequence=2)
    assert batches(later) == [], "quotes wait until the exit is over"


def test_wait_that_is_over_cancels_and_the_end_is_confirmed() -> None:
    desk = a_desk()
    client = request_of(place(desk, an_ask(max_wait_s=2.0, poll_s=0.5))).client_order_id
    answer(desk, client, accepted(client, "venue-m", remaining_e2=500))
    desk.later(0.6)
    desk.prove()
    (read,) = desk.engine.direct.run(desk.now)
    assert read == ReadOrder("venue-m")
    desk.later(1.5)
    desk.prove()
    effects = desk.engine.direct.run(desk.now)
    assert cancels(effects) == ["venue-m"]
    desk.accept_all(effects)
    ended = told(desk.engine.direct.run(desk.now))
    assert (ended.status, ended.filled_e2) == (ConfirmStatus.TIMEOUT, 0)
    assert desk.engine.direct.pending == 0


def test_unknown_end_may_be_asked_for_again_and_is_looked_at_anew() -> None:
    desk = a_desk()
    ask = an_ask(max_wait_s=1.0)
    client = request_of(place(desk, ask)).client_order_id
    answer(desk, client, Unknown(0, "timeout"))
    for _ in range(2):
        desk.later(10.5)
        desk.prove()
        effects = desk.engine.direct.run(desk.now)
    assert told(effects).status is ConfirmStatus.UNKNOWN
    order = desk.engine.account.orders.by_client(client)
    assert order is not None
    desk.engine.account.orders.name(order, "venue-m")
    desk.engine.intake.on_fill(a_fill(order, 500), desk.now)
    effects = place(desk, ask)
    assert batches(effects) == [], "no second order"
    assert told(effects).status is ConfirmStatus.FILLED


def test_request_of_an_earlier_process_makes_no_second_order() -> None:
    desk = a_desk()
    desk.engine.direct.earlier = {"ask-r1": "dora-sim-1-7-0-00000000"}
    effects = place(desk, an_ask())
    gone = told(effects)
    assert (batches(effects), gone.status, gone.filled_e2) == ([], ConfirmStatus.CANCELLED, 0)
    assert "earlier process" in gone.error_message


@pytest.mark.parametrize("word", ["flattening", "halt_latched"])
def test_flattening_and_a_halt_at_reduce_only_let_exits_pass_and_manual_orders_not(word: str) -> None:
    desk = a_desk()
    long(desk)
    gate = desk.engine.account.gate
    if word == "flattening":
        gate.is_flattening = True
    else:
        gate.latch = LatchState(True, 3, 2, GateState.REDUCE_ONLY, "wind down", "operator")
    refused = told(place(desk, an_ask(request_id="r5")))
    assert word in refused.error_message
    effects = place(desk, an_exit(request_id="r6"))
    assert request_of(effects).is_exit
    (batch,) = batches(effects)
    assert desk.engine.may_send(batch.creates, batch.markets, desk.now) is None


def test_halt_stops_exits_too() -> None:
    desk = a_desk()
    long(desk)
    desk.engine.account.gate.latch = LatchState(True, 3, 2, GateState.HALTED, "stop", "operator")
    assert "halt_latched" in told(place(desk, an_exit())).error_message


def test_slippage_is_against_the_touch_of_the_decision_not_of_the_fill() -> None:
    desk = a_desk()
    client = request_of(place(desk, an_ask(price_e4=5_300))).client_order_id
    desk.engine.on_top(a_top(bid_e4=5_000, ask_e4=5_600), desk.now)
    answer(desk, client, accepted(client, "venue-m", remaining_e2=0, filled_e2=500))
    order = desk.engine.account.orders.by_client(client)
    assert order is not None
    desk.engine.intake.on_fill(a_fill(order, 500, price_e4=5_300), desk.now)
    ended = told(desk.engine.run_pass(desk.now))
    assert (ended.decision_bid_e4, ended.decision_ask_e4) == (4_700, 5_300)
    assert (ended.slippage_mid_e6, ended.slippage_limit_e6) == (150_000, 0)


def test_exits_asked_for_at_once_never_close_more_than_the_position() -> None:
    desk = a_desk()
    long(desk, 500)
    first = request_of(place(desk, an_exit(request_id="x1", qty_e2=300)))
    assert batches(place(desk, an_exit(request_id="x2", qty_e2=300, price_e4=4_600))) == [], (
        "only 200 are left to close"
    )
    assert request_of(place(desk, an_exit(request_id="x3", qty_e2=200, price_e4=4_500))).qty_e2 == 200
    answer(desk, first.client_order_id, accepted(first.client_order_id, remaining_e2=0, filled_e2=300))
    order = desk.engine.account.orders.by_client(first.client_order_id)
    assert order is not None
    assert batches(desk.engine.run_pass(desk.now)) == [], "what was told and is not booked yet still counts"
    desk.engine.intake.on_fill(a_fill(order, 300, trade_id="x"), desk.now)
    ended = {
        one.confirmation.request_id for one in desk.engine.run_pass(desk.now) if isinstance(one, Confirmed)
    }
    assert ended == {"x1"}
    desk.later(5.1)
    desk.prove()
    assert "another exit" in told(desk.engine.run_pass(desk.now)).error_message


def test_exit_at_reduce_only_takes_the_place_of_quotes_that_would_close_the_same_position() -> None:
    desk = a_desk()
    long(desk, 500)
    desk.accept_all(desk.quote(a_quote(Side.ASK, 5_200, 500)))
    halted = LatchState(True, 3, 2, GateState.REDUCE_ONLY, "wind down", "operator")
    desk.engine.account.gate.latch = halted
    assert cancels(desk.engine.run_pass(desk.now)) == [], "alone it only shrinks the position"
    effects = place(desk, an_exit(qty_e2=500))
    assert (batches(effects), len(cancels(effects))) == ([], 1), "both together would turn it"
    desk.accept_all(effects)
    assert request_of(desk.engine.direct.run(desk.now)).qty_e2 == 500


def test_request_that_is_forgotten_as_an_answer_still_makes_no_second_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.executor.core.exits._REMEMBERED_MAX", 1)
    desk = a_desk()
    long(desk)
    desk.later(2_000)
    desk.prove()
    desk.engine.account.orders.forget_ended(desk.now.ns)
    place(desk, an_ask(request_id="next", market="M-9"))
    assert desk.engine.direct.answer("buy") is None
    effects = place(desk, an_ask(request_id="buy", qty_e2=500))
    assert batches(effects) == []
    again = told(effects)
    assert (again.status, again.filled_e2) == (ConfirmStatus.FILLED, 500), "and it is told what it was"


def test_group_that_an_order_by_hand_asks_for_is_paid_for() -> None:
    desk = a_desk()
    desk.engine.account.groups.clear()
    buckets = desk.engine.quoter.buckets
    before = buckets.tokens(desk.now.ns)
    assert any(isinstance(effect, MakeGroup) for effect in place(desk, an_ask()))
    assert buckets.tokens(desk.now.ns) < before


def test_manual_order_whose_cancel_was_lost_is_cancelled_again() -> None:
    desk = a_desk()
    request = request_of(place(desk, an_ask(max_wait_s=5.0)))
    answer(desk, request.client_order_id, accepted(request.client_order_id))
    desk.later(5.1)
    desk.prove()
    effects = desk.engine.run_pass(desk.now)
    (sent,) = [one for one in effects if isinstance(one, SendCancels)]
    desk.engine.intake.on_cancel_answer(sent.cancels[0], Unknown(0, "timeout"), desk.now)
    desk.later(1.1)
    desk.prove()
    assert len(cancels(desk.engine.run_pass(desk.now))) == 1

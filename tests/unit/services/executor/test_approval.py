"""Gate, rules, seal: in this order, for every order, and once more right before the bytes."""

from __future__ import annotations

import sys
import time
from typing import Any

import msgspec
import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueBalance
from libs.common.messages.execution import OrderState
from libs.common.messages.risk import LimitV1
from libs.common.risk.limits import RiskLimits
from libs.common.risk.model import Refusal
from libs.common.risk.registry import RULES
from services.executor.core.effects import Effect, Log
from services.executor.core.requests import AmendRequest, CreateRequest
from services.executor.core.seal import Approved
from tests.support.executor_builders import (
    CASH_E6,
    GROUP,
    LIMITS,
    MARKET,
    START_MS,
    START_NS,
    Desk,
    a_desk,
    a_quote,
    a_status,
    a_top,
    an_order,
    batches,
    cancels,
)
from tests.support.resumes import a_limit, a_raise


def a_create(**changes: Any) -> CreateRequest:
    fields: dict[str, Any] = {
        "market": MARKET,
        "shard": 0,
        "client_order_id": "dora-sim-1-1-0-00000001",
        "side": Side.BID,
        "price_e4": 4_800,
        "qty_e2": 500,
        "order_group_id": GROUP,
        "expires_ms": START_MS + 60_000,
    }
    return CreateRequest(**(fields | changes))


def an_amend(**changes: Any) -> AmendRequest:
    fields: dict[str, Any] = {
        "order_id": "venue-1",
        "client_order_id": "dora-sim-1-1-0-00000000",
        "market": MARKET,
        "shard": 0,
        "side": Side.BID,
        "price_e4": 4_900,
        "total_e2": 500,
        "expires_ms": START_MS + 60_000,
    }
    return AmendRequest(**(fields | changes))


def an_exit(**changes: Any) -> CreateRequest:
    return a_create(side=Side.ASK, reduce_only=True, is_immediate=True, post_only=False, **changes)


def change(desk: Desk, *limits: LimitV1) -> list[Effect]:
    for limit in limits:
        desk.engine.limits.take(desk.engine.limits.newest + 1, limit)
    return desk.engine.on_limits(desk.now)


def rule_of(answer: Approved | Refusal | None) -> str:
    return answer.rule if isinstance(answer, Refusal) else ""


def approve(desk: Desk, request: CreateRequest | None = None) -> Approved | Refusal:
    return desk.engine.quoter.approver.approve_create(request or a_create(), desk.now)


def limited(**changes: int) -> Desk:
    return a_desk(limits=msgspec.structs.replace(LIMITS, **changes))


def long(desk: Desk, qty_e2: int = 1_000) -> Desk:
    position = desk.engine.account.positions._ledger.position(MARKET)
    position.qty_e2, position.cost_e6 = qty_e2, qty_e2 * 4_800
    desk.engine.account.touched(MARKET, desk.now)
    return desk


# Gate and rules -----------------------------------------------------------------------------------


def test_ordinary_order_is_sealed_for_this_epoch_these_limits_and_half_a_second() -> None:
    desk = a_desk()
    approved = approve(desk)
    assert isinstance(approved, Approved)
    assert (approved.epoch, approved.limits, approved.expires_ns) == (1, 0, START_NS + 500_000_000)


def test_closed_gate_refuses_before_any_rule_is_asked() -> None:
    desk = limited(order_qty_e2_max=0)
    desk.engine.account.gate.is_stopping = True
    assert approve(desk) == Refusal("gate: stopping", 0, 1, "reasons")


# How each rule refuses in a world of messages and orders: what must be changed for it to answer.
WORLD: dict[str, tuple[dict[str, int], dict[str, Any]]] = {
    "on_grid": ({}, {"price_e4": 4_850}),
    "max_order_qty": ({"order_qty_e2_max": 499}, {}),
    "max_order_notional": ({"order_notional_e6_max": 2_399_999}, {}),
    "fresh_reference": ({"reference_age_ms_max": 0}, {}),
    "price_collar": ({"price_collar_e4_max": 199}, {"price_e4": 5_200}),
    "repeated_order": ({"orders_repeated_per_s_max": 0}, {}),
    "order_rate": ({"orders_per_s_max": 0}, {}),
    "notional_rate": ({"notional_per_minute_e6_max": 2_399_999}, {}),
    "max_market_orders": ({"market_orders_max": 0}, {}),
    "max_account_orders": ({"account_orders_max": 0}, {}),
    "max_market_position": ({"market_position_e2_max": 499}, {}),
    "max_event_contracts": ({"event_contracts_e2_max": 499}, {}),
    "max_account_contracts": ({"account_contracts_e2_max": 499}, {}),
    "max_market_exposure": ({"market_exposure_e6_max": 2_399_999}, {}),
    "max_event_exposure": ({"event_exposure_e6_max": 2_399_999}, {}),
    "max_account_exposure": ({"account_exposure_e6_max": 2_399_999}, {}),
    "max_balance_share": ({"market_balance_share_e4_max": 2}, {}),
    "shard_balance": ({"balance_age_ms_max": 0}, {}),
    "exit_reduces": ({}, {"reduce_only": True, "is_immediate": True}),
    "self_cross": ({}, {"side": Side.ASK, "price_e4": 4_800}),
    "duplicate": ({}, {"price_e4": 4_800}),
}


@pytest.mark.parametrize("name", list(RULES))
def test_every_rule_is_plugged_in(name: str) -> None:
    """One world for each rule in which it, and no other, refuses: unplug it, and this fails."""
    limits, changes = WORLD[name]
    desk = limited(**limits)
    if name in {"self_cross", "duplicate"}:
        desk.engine.account.orders.add(an_order())
    assert rule_of(approve(desk, a_create(**changes))) == name
    approver = desk.engine.quoter.approver
    approver._rules = [rule for rule in approver._rules if rule.name != name]
    assert isinstance(approve(desk, a_create(**changes)), Approved)


@pytest.mark.parametrize("name", RiskLimits.__struct_fields__)
def test_any_limit_of_zero_stops_quotes_altogether(name: str) -> None:
    assert isinstance(approve(limited(**{name: 0})), Refusal)


def test_unknown_and_unanswered_orders_count_at_their_worst() -> None:
    desk = limited(market_position_e2_max=1_400)
    orders = desk.engine.account.orders
    orders.add(an_order(state=OrderState.UNKNOWN, price_e4=4_500))
    orders.add(
        an_order(
            client_order_id="dora-sim-1-1-0-2",
            order_id="venue-2",
            price_e4=4_400,
            initial_e2=100,
            total_e2=100,
            pending_total_e2=401,
            pending_price_e4=4_600,
        )
    )
    assert approve(desk) == Refusal("max_market_position", 1_400, 1_401, "contracts_e2")


def test_two_strategies_never_meet_each_other() -> None:
    desk = a_desk()
    other = an_order(side=Side.ASK, price_e4=4_700, order_id="venue-9")
    desk.engine.account.orders.add(other)
    assert approve(desk) == Refusal("self_cross", 4_700, 4_800, "price_e4")
    ends = an_order(client_order_id="dora-sim-1-1-0-9", side=Side.ASK, price_e4=4_700)
    ends.pending_price_e4 = 5_300
    assert ends.worst_price_e4 == 4_700


# Cash ---------------------------------------------------------------------------------------------


def balance(desk: Desk, by_shard: dict[int, int], at_ns: int = START_NS) -> None:
    desk.engine.on_balance(VenueBalance(CASH_E6, by_shard, START_MS), at_ns)


def test_order_must_fit_the_cash_of_its_own_shard() -> None:
    desk = a_desk()
    balance(desk, {0: 2_399_999, 1: CASH_E6})
    assert approve(desk) == Refusal("shard_balance", 2_399_999, 2_400_000, "dollars_e6")
    balance(desk, {0: 2_400_000})
    assert isinstance(approve(desk), Approved)
    balance(desk, {1: CASH_E6})
    assert approve(desk) == Refusal("shard_balance", LIMITS.balance_age_ms_max, -1, "ms")


def test_what_rests_on_the_shard_is_not_there_to_spend() -> None:
    desk = a_desk()
    balance(desk, {0: 4_000_000})
    desk.engine.account.orders.add(an_order(price_e4=4_000))
    desk.engine.account.touched(MARKET, desk.now)
    assert approve(desk) == Refusal("shard_balance", 2_000_000, 2_400_000, "dollars_e6")


def test_old_balance_opens_nothing_and_keeps_no_exit_back() -> None:
    desk = long(limited(balance_age_ms_max=15_000))
    desk.later(15.001)
    desk.prove()
    assert approve(desk) == Refusal("shard_balance", 15_000, 15_001, "ms")
    assert isinstance(approve(desk, an_exit()), Approved)


def test_first_balance_wakes_the_markets_that_were_refused_for_want_of_it() -> None:
    desk = a_desk()
    account = desk.engine.account
    account.desk.cash = type(account.desk.cash)()
    assert batches(desk.quote(a_quote())) == []
    account.dirty.clear()
    balance(desk, {0: CASH_E6})
    assert len(batches(desk.engine.run_pass(desk.now))) == 1


# Exits --------------------------------------------------------------------------------------------


def test_exit_is_within_the_position_or_no_exit() -> None:
    desk = long(a_desk(), 499)
    assert approve(desk, an_exit()) == Refusal("exit_reduces", 499, 500, "contracts_e2")
    assert rule_of(approve(a_desk(), an_exit())) == "exit_reduces"
    assert isinstance(approve(long(a_desk()), an_exit()), Approved)


# Exclusive events ---------------------------------------------------------------------------------


def test_exclusive_event_may_sell_every_outcome_where_others_may_not() -> None:
    def sold(*, is_exclusive: bool) -> list[str]:
        desk = limited(event_exposure_e6_max=3_000_000)
        answers = []
        for n in range(4):
            market = f"M-{n}"
            desk.engine.on_status(a_status(market, is_exclusive_event=is_exclusive), desk.now)
            desk.engine.on_top(a_top(market), desk.now)
            request = a_create(market=market, side=Side.ASK, price_e4=5_200, client_order_id=f"c{n}")
            answers.append(rule_of(approve(desk, request)))
            position = desk.engine.account.positions._ledger.position(market)
            position.qty_e2, position.cost_e6 = -500, 500 * 4_800
            desk.engine.account.touched(market, desk.now)
        return answers

    assert sold(is_exclusive=True) == ["", "", "", ""]
    assert sold(is_exclusive=False) == ["", *["max_event_exposure"] * 3]


def test_event_that_turns_out_not_exclusive_is_counted_anew_at_once() -> None:
    desk = a_desk()
    engine = desk.engine
    for n in (1, 2):
        engine.on_status(a_status(f"M-{n}", is_exclusive_event=True), desk.now)
        position = engine.account.positions._ledger.position(f"M-{n}")
        position.qty_e2, position.cost_e6 = -500, 500 * 4_800
        engine.account.touched(f"M-{n}", desk.now)
    # If one is lost, the premium that is kept of the other pays for it; if both may be, nothing does.
    assert engine.account.desk.account_e6 == 0
    engine.on_status(a_status("M-2", is_exclusive_event=False, sequence=2), desk.now)
    assert engine.account.desk.account_e6 == 2 * 500 * 4_800


# Right before the bytes ---------------------------------------------------------------------------


def intended(desk: Desk) -> Approved:
    """Return a create that was approved and is among the open orders."""
    (batch,) = batches(desk.quote(a_quote()))
    return batch.creates[0]


def test_recheck_has_nothing_against_what_was_just_approved() -> None:
    desk = limited(orders_per_s_max=1, orders_repeated_per_s_max=1, market_orders_max=1, account_orders_max=1)
    approved = intended(desk)
    assert desk.engine.quoter.approver.recheck(approved, desk.now) is None
    assert rule_of(approve(desk, a_create(price_e4=4_700))) == "order_rate"


def test_recheck_sees_what_came_since() -> None:
    desk = limited(market_position_e2_max=700)
    approved = intended(desk)
    long(desk, 300)
    assert rule_of(desk.engine.quoter.approver.recheck(approved, desk.now)) == "max_market_position"


@pytest.mark.parametrize("is_stale", [True, False])
def test_recheck_has_no_reference_in_a_stale_or_missing_book(*, is_stale: bool) -> None:
    desk = a_desk()
    approved = intended(desk)
    if is_stale:
        desk.engine.on_top(a_top(is_stale=True), desk.now)
    else:
        del desk.engine.account.gate._tops[MARKET]
    assert desk.engine.quoter.approver.recheck(approved, desk.now) == Refusal(
        "fresh_reference", 2_000, -1, "ms"
    )


def test_recheck_goes_by_the_limits_of_now() -> None:
    desk = a_desk()
    approved = intended(desk)
    change(desk, a_limit("order_qty_e2_max", 499))
    assert rule_of(desk.engine.quoter.approver.recheck(approved, desk.now)) == "max_order_qty"


def test_recheck_refuses_what_nobody_counts_and_what_still_waits() -> None:
    desk = a_desk()
    approver = desk.engine.quoter.approver
    stray = approver.approve_create(a_create(), desk.now)
    assert isinstance(stray, Approved)
    assert rule_of(approver.recheck(stray, desk.now)) == "order_known"
    first = an_order()
    desk.engine.account.orders.add(first)
    waiting = an_order(
        client_order_id=stray.request.client_order_id, order_id="", state=OrderState.INTENDED, behind=(first,)
    )
    desk.engine.account.orders.add(waiting)
    assert rule_of(approver.recheck(stray, desk.now)) == "cancel_not_confirmed"
    first.state = OrderState.CANCELLED
    assert approver.recheck(stray, desk.now) is None


def test_amend_is_judged_by_the_larger_of_what_it_may_become_and_is_no_order_more() -> None:
    desk = limited(market_orders_max=1, account_orders_max=1, order_qty_e2_max=600)
    order = an_order(total_e2=601, booked_e2=0)
    desk.engine.account.orders.add(order)
    approver = desk.engine.quoter.approver
    assert approver.approve_amend(an_amend(), order, desk.now) == Refusal(
        "max_order_qty", 600, 601, "contracts_e2"
    )
    order.booked_e2 = order.filled_e2 = 1
    approved = approver.approve_amend(an_amend(), order, desk.now)
    assert isinstance(approved, Approved)
    approver.passed(approved, desk.now)
    assert approver.recheck(approved, desk.now) is None


def test_amend_of_an_order_that_is_gone_counts_whole() -> None:
    desk = a_desk()
    approver, order = desk.engine.quoter.approver, an_order()
    approved = approver.approve_amend(an_amend(), order, desk.now)
    assert isinstance(approved, Approved)
    approver.passed(approved, desk.now)
    pace = desk.engine.account.desk._quotes
    assert pace.notional_last_minute_e6(START_NS) == 4_900 * 500


def test_recheck_costs_no_more_than_thirty_microseconds_in_an_event_of_sixty() -> None:
    """The fastest of many rounds: what the work costs, not what the neighbours on the machine do."""
    desk = a_desk()
    for n in range(60):
        desk.engine.on_status(a_status(f"M-{n}", is_exclusive_event=True), desk.now)
    approved, approver = intended(desk), desk.engine.quoter.approver
    best_ns = 1 << 62
    for _ in range(100):
        began_ns = time.perf_counter_ns()
        for _ in range(20):
            assert approver.recheck(approved, desk.now) is None
        best_ns = min(best_ns, time.perf_counter_ns() - began_ns)
    print(f"recheck: {best_ns / 20_000:.1f} us an order")  # noqa: T201 - a measured figure
    # Under a tracer (coverage) every line costs several times its own work.
    assert best_ns / 20_000 < 30 or sys.gettrace() is not None


# Limits, live -------------------------------------------------------------------------------------


def test_lowered_limit_stops_what_was_approved_under_the_old_one() -> None:
    desk = a_desk()
    approved = intended(desk)
    assert desk.engine.may_send((approved,), (MARKET,), desk.now) is None
    change(desk, a_limit("account_orders_max", 9_999))
    assert desk.engine.may_send((approved,), (MARKET,), desk.now) == "limits_changed"


def test_tightening_withdraws_what_rests_and_a_raise_within_the_configuration_withdraws_nothing() -> None:
    desk = a_desk()
    desk.accept_all(desk.quote(a_quote()))
    desk.engine.account.gate.is_rebuilt = True
    assert len(cancels(change(desk, a_limit("order_qty_e2_max", 300)))) == 1
    approver = desk.engine.quoter.approver
    assert approver.limits.order_qty_e2_max == 300
    assert change(desk, a_limit("order_qty_e2_max", 300)) == []
    assert change(desk, a_limit("order_qty_e2_max", 400)) == [], "without a nonce nothing loosens"
    effects = change(desk, a_raise("order_qty_e2_max", 400, after=3, at_ms=START_MS))
    assert approver.limits.order_qty_e2_max == 400
    assert cancels(effects) == []
    assert [effect.event_type for effect in effects if isinstance(effect, Log)] == ["LIMIT_CHANGED"]


def test_raise_ends_by_itself_and_what_was_below_it_shows_again() -> None:
    desk = a_desk()
    desk.engine.account.gate.is_rebuilt = True
    change(desk, a_limit("order_qty_e2_max", 300))
    change(desk, a_raise("order_qty_e2_max", 10**9, after=1, at_ms=START_MS))
    approver = desk.engine.quoter.approver
    assert approver.limits == LIMITS, "never above the configuration"
    effects = desk.engine.on_tick(desk.later(3_600))
    assert approver.limits.order_qty_e2_max == 300
    assert "LIMIT_CHANGED" in [effect.event_type for effect in effects if isinstance(effect, Log)]


def test_limit_of_another_scope_of_no_name_or_of_the_past_changes_nothing() -> None:
    desk = a_desk()
    approver = desk.engine.quoter.approver
    assert not desk.engine.limits.take(1, a_limit("orders_per_s_max", 1, scope="other"))
    assert change(desk, a_limit("orders_per_s_max", 1, until_ms=START_MS)) == []
    assert change(desk, a_limit("no_such_limit", 1)) == []
    assert (approver.limits, approver.revision) == (LIMITS, 0)

"""Flattening in the core: collar, cost cap, order of markets, what is left and why."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.fees import FeeTerms, fee_of_fill
from libs.common.domain.grid import PriceGrid
from libs.common.domain.side import Side
from libs.common.messages.execution import Purpose
from libs.common.messages.market import BandV1
from libs.common.messages.orders import ConfirmationV1, ConfirmStatus, FlattenAskV1, FlattenSliceV1
from services.executor.core.flatten import (
    CAP,
    FlattenRules,
    FlattenRun,
    Holding,
    holdings,
    plan_slice,
    refusals,
)
from tests.support.executor_builders import START_NS, a_desk

GRID = PriceGrid.of((BandV1(start_e4=0, end_e4=10_000, step_e4=100),))
FEE = FeeTerms("quadratic", 10_000)
RULES = FlattenRules(is_enabled=True, collar_e4=300, cost_e6_max=100_000_000, slice_e2_max=1_000)
S = 1_000_000_000


def a_holding(market: str = "M-1", qty_e2: int = 500, **changes: Any) -> Holding:
    fields: dict[str, Any] = {
        "market": market,
        "qty_e2": qty_e2,
        "bid_e4": 5_900,
        "ask_e4": 6_100,
        "grid": GRID,
        "fee": FEE,
    }
    return Holding(**(fields | changes))


def an_ask(**changes: Any) -> FlattenAskV1:
    fields: dict[str, Any] = {
        "request_id": "f1",
        "account": "main",
        "by": "me",
        "reason": "test",
        "is_dry_run": False,
    }
    return FlattenAskV1(**(fields | changes))


def a_run(rules: FlattenRules = RULES) -> FlattenRun:
    return FlattenRun(an_ask(), rules, "main", START_NS)


def planned_slice(holding: Holding, rules: FlattenRules = RULES, **changes: Any) -> FlattenSliceV1:
    made = plan_slice(holding, rules, changes.get("left_e6", rules.cost_e6_max), changes.get("anchor_e4"))
    assert isinstance(made, FlattenSliceV1), made
    return made


def confirmed(
    planned: FlattenSliceV1,
    filled_e2: int | None = None,
    price_e4: int | None = None,
    status: ConfirmStatus = ConfirmStatus.FILLED,
    **changes: Any,
) -> ConfirmationV1:
    qty_e2 = planned.qty_e2 if filled_e2 is None else filled_e2
    fields: dict[str, Any] = {
        "request_id": "f1-1",
        "decision_id": "",
        "mode": Purpose.EXIT,
        "status": status,
        "order": None,
        "error_message": "why",
        "asked_e2": planned.qty_e2,
        "filled_e2": qty_e2,
        "booked_e2": qty_e2,
        "is_acceptable": True,
        "paid_e6": qty_e2 * (planned.price_e4 if price_e4 is None else price_e4),
        "fees_e6": 0,
        "average_price_e4": None,
        "decision_bid_e4": None,
        "decision_ask_e4": None,
        "slippage_mid_e6": None,
        "slippage_limit_e6": None,
        "waited_ms": 0,
        "polls": 0,
    }
    return ConfirmationV1(**(fields | changes))


def test_long_is_sold_and_short_is_bought_no_further_than_the_collar() -> None:
    sold = planned_slice(a_holding())
    assert (sold.side, sold.price_e4, sold.qty_e2, sold.reference_e4) == (Side.ASK, 5_700, 500, 6_000.0)
    bought = planned_slice(a_holding(qty_e2=-500))
    assert (bought.side, bought.price_e4, bought.qty_e2) == (Side.BID, 6_300, 500)


def test_limit_is_rounded_into_the_collar_not_out_of_it() -> None:
    odd = FlattenRules(is_enabled=True, collar_e4=250, cost_e6_max=10**9, slice_e2_max=1_000)
    assert planned_slice(a_holding(), odd).price_e4 == 5_800
    assert planned_slice(a_holding(qty_e2=-1), odd).price_e4 == 6_200


def test_nothing_is_planned_without_book_grid_touch_or_gate() -> None:
    assert plan_slice(a_holding(bid_e4=None, ask_e4=None), RULES, 10**9) == "nobody to trade with"
    assert plan_slice(a_holding(bid_e4=None), RULES, 10**9) == "nobody to trade with"
    assert plan_slice(a_holding(grid=None), RULES, 10**9) == "no price grid"
    assert plan_slice(a_holding(closed=("book_stale",)), RULES, 10**9) == "gate: book_stale"
    wide = plan_slice(a_holding(bid_e4=5_000, ask_e4=7_000), RULES, 10**9)
    assert wide == "the touch at 5000 is beyond the collar"


def test_own_sales_do_not_walk_the_collar_down() -> None:
    moved = planned_slice(a_holding(bid_e4=5_800, ask_e4=5_900), anchor_e4=6_000.0)
    assert (moved.price_e4, moved.reference_e4) == (5_700, 6_000.0)
    far = plan_slice(a_holding(bid_e4=5_600, ask_e4=5_700), RULES, 10**9, 6_000.0)
    assert far == "the touch at 5600 is beyond the collar"


def test_cap_shrinks_a_slice_to_whole_contracts_and_then_ends_it() -> None:
    whole = planned_slice(a_holding())
    small = planned_slice(a_holding(), left_e6=whole.worst_e6 - 1)
    assert small.qty_e2 == 400
    assert small.worst_e6 <= whole.worst_e6 - 1
    one = planned_slice(a_holding(qty_e2=100)).worst_e6
    assert plan_slice(a_holding(), RULES, one - 1) == CAP
    assert plan_slice(a_holding(), RULES, 0) == CAP
    assert plan_slice(a_holding(), FlattenRules(is_enabled=True), 10**9) != ""


def test_zero_means_zero() -> None:
    nothing = FlattenRules(is_enabled=True, collar_e4=300)
    run = a_run(nothing)
    assert run.next([a_holding()], START_NS) is None
    assert run.report([a_holding()], START_NS).left[0].qty_e2 == 500


@given(
    qty_e2=st.integers(1, 5_000),
    bid_e4=st.integers(1, 98).map(lambda cents: cents * 100),
    spread=st.integers(1, 30),
    collar_e4=st.integers(0, 2_000),
    left_e6=st.integers(1, 5_000_000),
    is_long=st.booleans(),
    trade=st.floats(0, 1),
)
def test_no_trade_within_a_slice_costs_more_than_its_worst_and_that_fits_the_cap(
    *, qty_e2: int, bid_e4: int, spread: int, collar_e4: int, left_e6: int, is_long: bool, trade: float
) -> None:
    ask_e4 = min(9_900, bid_e4 + spread * 100)
    if ask_e4 <= bid_e4:
        return
    rules = FlattenRules(is_enabled=True, collar_e4=collar_e4, cost_e6_max=left_e6, slice_e2_max=2_000)
    holding = a_holding(qty_e2=qty_e2 if is_long else -qty_e2, bid_e4=bid_e4, ask_e4=ask_e4)
    made = plan_slice(holding, rules, left_e6)
    if isinstance(made, str):
        return
    assert 0 < made.qty_e2 <= min(qty_e2, 2_000)
    assert made.worst_e6 <= left_e6
    assert abs(made.price_e4 - made.reference_e4) <= collar_e4
    touch = bid_e4 if is_long else ask_e4
    price = min(made.price_e4, touch) + round(abs(touch - made.price_e4) * trade)
    fee = fee_of_fill(FEE, made.side, price, made.qty_e2, is_taker=True).net_e6
    cost = (price - made.reference_e4) * made.side.sign * made.qty_e2 + fee
    assert cost <= made.worst_e6


def test_largest_comes_first_and_is_finished_before_the_next() -> None:
    run = a_run()
    found = [a_holding("M-small", 100), a_holding("M-large", 1_500), a_holding("M-short", -1_200)]
    first = run.next(found, START_NS)
    assert first is not None
    assert (first.market, first.qty_e2) == ("M-large", 1_000)
    run.on_confirmed(first, confirmed(first))
    found[1] = a_holding("M-large", 500)
    second = run.next(found, START_NS)
    assert second is not None
    assert (second.market, second.qty_e2) == ("M-large", 500), "smaller than the short by now, but begun"
    run.on_confirmed(second, confirmed(second))
    third = run.next([found[0], found[2]], START_NS)
    assert third is not None
    assert third.market == "M-short", "1,200 NO at 40 cents are worth more than 100 YES at 60"


def test_part_that_nobody_took_ends_its_market_and_is_left_with_the_reason() -> None:
    run = a_run()
    first = run.next([a_holding()], START_NS)
    assert first is not None
    run.on_confirmed(first, confirmed(first, 300, status=ConfirmStatus.PARTIAL))
    rest = a_holding(qty_e2=200)
    assert run.next([rest], START_NS) is None
    report = run.report([rest], START_NS + S)
    assert (report.is_flat, report.took_ms) == (False, 1_000)
    assert [(one.market, one.qty_e2, one.reason) for one in report.left] == [("M-1", 200, "partial: why")]


def test_cost_is_distance_plus_fees_and_never_negative() -> None:
    run = a_run()
    first = run.next([a_holding()], START_NS)
    assert first is not None
    run.on_confirmed(first, confirmed(first, price_e4=5_900, fees_e6=70_000))
    assert run.cost_e6 == 100 * 500 + 70_000
    run.on_confirmed(first, confirmed(first, price_e4=6_500))
    assert run.cost_e6 == 120_000, "a better price than the reference buys no further room"


def test_what_is_unknown_counts_at_its_worst() -> None:
    run = a_run()
    first = run.next([a_holding()], START_NS)
    assert first is not None
    run.on_confirmed(first, confirmed(first, 0, status=ConfirmStatus.UNKNOWN))
    assert run.cost_e6 == first.worst_e6
    assert run.next([a_holding()], START_NS) is None


def test_fills_that_are_not_booked_count_at_their_worst() -> None:
    run = a_run()
    first = run.next([a_holding()], START_NS)
    assert first is not None
    run.on_confirmed(first, confirmed(first, booked_e2=0, paid_e6=0))
    assert run.cost_e6 == first.worst_e6


def test_cap_ends_the_run_and_says_so() -> None:
    rules = FlattenRules(is_enabled=True, collar_e4=300, cost_e6_max=200_000, slice_e2_max=1_000)
    run = a_run(rules)
    found = [a_holding(qty_e2=5_000), a_holding("M-2", 400)]
    while (one := run.next(found, START_NS)) is not None:
        run.on_confirmed(one, confirmed(one))
    report = run.report(found, START_NS)
    assert 0 < report.cost_e6 <= 200_000
    assert CAP in report.stopped
    assert all(CAP in one.reason for one in report.left)


def test_time_ends_the_run() -> None:
    run = a_run()
    assert run.next([a_holding()], START_NS + 241 * S) is None
    assert "out of time" in run.stopped


def test_listing_must_be_empty_twice_with_nothing_of_ours_under_way() -> None:
    run = a_run()
    for ours, is_quiet, again in ((2, True, True), (0, False, True), (0, True, True), (0, True, False)):
        assert run.on_listing(ours, is_quiet=is_quiet, now_ns=START_NS + S) is again
    assert run.is_verified


def test_listing_that_never_comes_back_empty_ends_the_run_before_any_exit() -> None:
    run = a_run()
    assert not run.on_listing(3, is_quiet=True, now_ns=START_NS + 16 * S)
    assert "3 orders shown" in run.stopped
    assert run.next([a_holding()], START_NS + 16 * S) is None


def test_rehearsal_says_what_would_happen_at_the_touch() -> None:
    run = a_run(FlattenRules(is_enabled=True, collar_e4=300, cost_e6_max=10**8, slice_e2_max=300))
    found = [a_holding(), a_holding("M-2", 100, bid_e4=None)]
    run.rehearse(found)
    report = run.report(found, START_NS)
    assert [(one.market, one.qty_e2) for one in report.slices] == [("M-1", 300), ("M-1", 200)]
    assert report.cost_e6 == sum(one.expected_e6 for one in report.slices)
    assert [(one.market, one.reason) for one in report.left] == [("M-2", "nobody to trade with")]


def test_order_of_an_exit_names_run_person_and_reason() -> None:
    run = a_run()
    first = run.next([a_holding()], START_NS)
    assert first is not None
    ask = run.place(first)
    assert (ask.request_id, ask.mode, ask.by, ask.reason) == ("f1-1", Purpose.EXIT, "me", "flatten: test")
    assert (ask.side, ask.price_e4, ask.qty_e2) == (first.side, first.price_e4, first.qty_e2)


def test_refusals_name_everything_that_stands_against_it() -> None:
    desk = a_desk()
    account = desk.engine.account
    assert refusals(an_ask(), RULES, account, desk.now) == ()
    told = refusals(an_ask(account="other", by=""), FlattenRules(), account, desk.now)
    assert [one.split(":")[0] for one in told] == ["account", "by and reason", "not enabled"]
    used = refusals(an_ask(), RULES, account, desk.now, {"ask-f1-1": "dora-sim-1-1-0-00000000"})
    assert used[0].startswith("request_id: used by an earlier process")
    account.gate.is_flattening = True
    assert refusals(an_ask(), RULES, account, desk.now) == ("another flattening is under way",)
    account.gate.is_flattening = False
    assert any("permit" in one for one in refusals(an_ask(), RULES, account, desk.later(10)))


def test_account_without_positions_has_nothing_to_close() -> None:
    desk = a_desk()
    assert holdings(desk.engine.account, desk.now) == []
    run = a_run()
    assert run.next([], START_NS) is None
    assert run.report([], START_NS).is_flat

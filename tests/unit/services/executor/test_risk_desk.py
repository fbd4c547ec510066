"""Cash of a shard, pace of orders, and the counts that a view is made of."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.risk.exposure import Open, reserve_e6, tally
from libs.common.risk.model import Order, RiskView
from services.executor.core.pace import Pace
from services.executor.core.risk_desk import Holding, Reference, RiskDesk
from services.executor.core.shard_cash import ShardCash

S = 1_000_000_000
BID = Open(Side.BID, 4_000, 100)
ASK = Open(Side.ASK, 7_000, 100)
ORDER = Order("M1", "E1", Side.BID, 5_000, 100)


def look(desk: RiskDesk, holding: Holding, order: Order = ORDER, **more: bool) -> RiskView:
    return desk.view(order, holding, 10 * S, grid=None, reference=Reference(5_000.0, 7), **more)


# Reserve ------------------------------------------------------------------------------------------


def test_orders_of_a_flat_market_hold_back_both_legs() -> None:
    assert tally(0, 0, (BID, ASK)).reserve_e6 == 4_000 * 100 + 3_000 * 100
    assert reserve_e6(0, (BID, ASK)) == tally(0, 0, (BID, ASK)).reserve_e6


def test_what_closes_needs_no_cash_and_the_cheapest_orders_are_taken_to_close() -> None:
    dear, cheap = Open(Side.ASK, 2_000, 100), Open(Side.ASK, 9_000, 100)
    assert tally(100, 0, (dear, cheap)).reserve_e6 == 8_000 * 100
    assert tally(150, 0, (dear, cheap)).reserve_e6 == 8_000 * 50
    assert tally(200, 0, (dear, cheap, BID)).reserve_e6 == 4_000 * 100
    assert tally(-100, 0, (BID, ASK)).reserve_e6 == 3_000 * 100


# Cash ---------------------------------------------------------------------------------------------


def test_cash_is_unknown_before_the_first_balance_and_on_a_shard_it_does_not_name() -> None:
    cash = ShardCash()
    assert (cash.free_e6(0, 0), cash.total_e6, cash.age_ms(S)) == (None, None, None)
    cash.on_balance({0: 500}, 700, S)
    assert (cash.free_e6(0, 100), cash.free_e6(1, 0), cash.free_e6(None, 0)) == (400, None, None)
    assert (cash.total_e6, cash.age_ms(3 * S)) == (700, 2_000)


def test_payment_is_subtracted_until_a_balance_surely_has_it() -> None:
    cash = ShardCash()
    cash.on_flow(0, -50, S)  # before any balance: whatever comes next has it
    cash.on_balance({0: 500}, 500, 2 * S)
    cash.on_flow(0, -100, 3 * S)
    cash.on_flow(0, +900, 3 * S)
    assert (cash.free_e6(0, 0), cash.total_e6) == (400, 400)
    cash.on_balance({0: 500}, 500, 3 * S + S // 2)
    assert cash.free_e6(0, 0) == 400, "a read so soon after may still show the old sum"
    cash.on_balance({0: 400}, 400, 4 * S + 1)
    assert cash.free_e6(0, 0) == 400


def test_older_balance_that_arrives_later_is_dropped() -> None:
    cash = ShardCash()
    cash.on_balance({0: 500}, 500, 2 * S)
    cash.on_balance({0: 900}, 900, S)
    assert cash.free_e6(0, 0) == 500


def test_payment_without_a_shard_is_left_to_the_balance() -> None:
    cash = ShardCash()
    cash.on_balance({0: 500}, 500, S)
    cash.on_flow(None, -100, S)
    assert cash.free_e6(0, 0) == 500


def test_free_cash_is_less_what_rests_elsewhere_on_the_shard_and_here_but_not_what_is_replaced() -> None:
    desk = RiskDesk()
    desk.cash.on_balance({0: 10_000_000, 1: 10_000_000}, 20_000_000, S)
    desk.refresh("M2", "E1", Holding(0, 0, (BID,), 0), S)
    desk.refresh("M3", "E1", Holding(0, 0, (BID,), 1), S)
    desk.refresh("M1", "E1", Holding(0, 0, (BID, ASK), 0), S)
    assert look(desk, Holding(0, 0, (BID, ASK), 0)).free_e6 == 10_000_000 - 400_000 - 700_000
    assert look(desk, Holding(0, 0, (ASK,), 0)).free_e6 == 10_000_000 - 400_000 - 300_000
    view = look(desk, Holding(0, 0, (), None))
    assert (view.free_e6, view.cash_e6, view.balance_age_ms) == (None, 20_000_000, 9_000)


def test_fill_moves_cash_from_the_order_to_the_position_without_freeing_it_twice() -> None:
    desk = RiskDesk()
    desk.cash.on_balance({0: 1_000_000}, 1_000_000, S)
    desk.refresh("M1", "E1", Holding(0, 0, (BID,), 0), S)
    before = look(desk, Holding(0, 0, (BID,), 0)).free_e6
    filled = Holding(100, 400_000, (), 0, cash_e6=-400_000)
    desk.refresh("M1", "E1", filled, 2 * S)
    assert look(desk, filled).free_e6 == before == 600_000


# Counts -------------------------------------------------------------------------------------------


def test_orders_and_contracts_are_counted_at_their_largest_without_what_is_replaced() -> None:
    desk = RiskDesk()
    desk.refresh("M1", "E1", Holding(50, 0, (BID, ASK), 0))
    desk.refresh("M2", "E1", Holding(-300, 0, (ASK,), 0))
    desk.refresh("M3", "E2", Holding(0, 0, (BID, BID, BID), 0))
    view = look(desk, Holding(50, 0, (ASK,), 0))
    assert (view.market_orders, view.account_orders) == (1, 5)
    assert (view.event_contracts_others_e2, view.account_contracts_others_e2) == (400, 700)
    assert (view.contracts_before_e2, view.contracts_after_e2(ORDER)) == (50, 150)
    assert (view.reference_e4, view.reference_age_ms) == (5_000.0, 7)


def test_market_counts_where_its_event_is_once_somebody_tells_which() -> None:
    desk = RiskDesk()
    holding = Holding(100, 400_000, (), 0, is_exclusive=True)
    desk.refresh("M1", "M1", holding)
    view = look(desk, holding)
    assert view.account_others_e6 == 400_000, "still counted as an event of its own: twice, never not at all"
    desk.refresh("M1", "E1", holding)
    assert (desk.event_e6("M1"), desk.event_e6("E1"), desk.event_e6("E9")) == (0, 400_000, 0)
    assert look(desk, holding).account_others_e6 == 0


def test_same_price_and_own_touch_are_of_all_orders_of_the_market() -> None:
    opened = (BID, Open(Side.BID, 5_000, 10), ASK, Open(Side.ASK, 6_000, 10))
    view = look(RiskDesk(), Holding(0, 0, opened, 0))
    assert (view.same_price_open, view.own_bid_max_e4, view.own_ask_min_e4) == (1, 5_000, 6_000)


# Pace ---------------------------------------------------------------------------------------------


def test_orders_leave_the_second_and_the_minute_when_they_are_over() -> None:
    pace = Pace()
    pace.passed(ORDER, 0)
    pace.passed(ORDER, S // 2)
    pace.passed(Order("M1", "E1", Side.BID, 5_000, 200), S - 1)
    assert (pace.orders_last_s(S - 1), pace.repeated_last_s(ORDER, S - 1)) == (3, 2)
    assert (pace.orders_last_s(S), pace.repeated_last_s(ORDER, S)) == (2, 1)
    assert pace.repeated_last_s(ORDER, 2 * S) == 0
    assert pace.notional_last_minute_e6(60 * S) == 4 * 500_000
    pace.passed(ORDER, 30 * S)
    assert pace.notional_last_minute_e6(61 * S) == 500_000
    assert pace.notional_last_minute_e6(90 * S) == 0


def test_exits_are_paced_apart_from_quotes_and_no_order_counts_against_itself() -> None:
    desk = RiskDesk()
    an_exit = Order("M1", "E1", Side.ASK, 5_000, 100, is_exit=True)
    for _ in range(3):
        desk.passed(ORDER, 10 * S)
    desk.passed(an_exit, 10 * S)
    holding = Holding(100, 0, (), 0)
    view = look(desk, holding)
    assert (view.orders_last_s, view.repeated_last_s, view.notional_last_minute_e6) == (3, 3, 1_500_000)
    view = look(desk, holding, is_counted=True)
    assert (view.orders_last_s, view.repeated_last_s, view.notional_last_minute_e6) == (2, 2, 1_000_000)
    assert look(desk, holding, an_exit).orders_last_s == 1

"""`order_to_trade`: far more orders than fills."""

from __future__ import annotations

from libs.common.messages.control import GateState
from services.riskguard.core.conduct.view import ConductView
from tests.support.conduct_builders import Seen, fired


def seen_view(orders: int, trades: int) -> ConductView:
    return ConductView(orders_last_ten_minutes=orders, trades_last_ten_minutes=trades)


def test_it_fires_above_its_ratio_and_latches_at_reduce_only() -> None:
    assert fired("order_to_trade", seen_view(200, 2), orders_per_trade=100, orders_per_trade_min=1) is None
    told = fired("order_to_trade", seen_view(201, 2), orders_per_trade=100, orders_per_trade_min=1)
    assert told is not None
    assert told.is_latching
    assert told.level is GateState.REDUCE_ONLY


def test_without_any_fill_the_ratio_is_that_of_one() -> None:
    assert fired("order_to_trade", seen_view(100, 0), orders_per_trade=100, orders_per_trade_min=1) is None
    assert fired("order_to_trade", seen_view(101, 0), orders_per_trade=100, orders_per_trade_min=1)


def test_before_enough_orders_it_says_nothing() -> None:
    assert fired("order_to_trade", seen_view(499, 0), orders_per_trade=1, orders_per_trade_min=500) is None
    assert fired("order_to_trade", seen_view(500, 0), orders_per_trade=1, orders_per_trade_min=500)


def test_what_places_or_moves_an_order_counts_for_ten_minutes() -> None:
    seen = Seen()
    seen.order(1)
    seen.wait(1)
    seen.order(1, reason="Amend", price_e4=4_100)
    seen.wait(1)
    seen.order(1, reason="Decrease", price_e4=4_100, remaining_e2=100)
    seen.fill()
    view = seen.view()
    assert (view.orders_last_ten_minutes, view.trades_last_ten_minutes) == (2, 1)
    assert view.orders_per_trade_e2 == 200
    assert fired("order_to_trade", view, orders_per_trade=1, orders_per_trade_min=2)
    seen.wait(580)
    assert seen.view().orders_last_ten_minutes == 2
    seen.wait(20)
    assert seen.view().orders_last_ten_minutes == 0

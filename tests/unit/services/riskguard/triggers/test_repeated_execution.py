"""`repeated_execution`: one decision executed again and again within seconds."""

from __future__ import annotations

from libs.common.domain.side import Side
from services.riskguard.core.conduct.view import ConductView
from tests.support.conduct_builders import Seen, fired
from tests.support.truth_builders import MARKET


def test_it_fires_above_its_limit_and_latches() -> None:
    at, over = ConductView(repeated_executions=5), ConductView(repeated_executions=6)
    assert fired("repeated_execution", at, repeated_executions=5) is None
    told = fired("repeated_execution", over, repeated_executions=5)
    assert told is not None
    assert (told.limit, told.was, told.is_latching) == (5, 6, True)


def test_orders_at_one_price_that_are_put_back_as_fast_as_they_fill_are_repeats() -> None:
    seen = Seen()
    for _ in range(6):
        seen.fill()
        seen.wait(0.5)
    view = seen.view()
    assert view.repeated_executions == 6
    assert view.repeated == f"{MARKET} bid 4000"
    assert fired("repeated_execution", view, repeated_executions=5) is not None


def test_other_prices_sides_and_markets_are_other_decisions() -> None:
    seen = Seen()
    seen.fill(price_e4=4_000)
    seen.fill(price_e4=4_100)
    seen.fill(side=Side.ASK)
    seen.fill(market="B")
    assert seen.view().repeated_executions == 1


def test_many_takers_of_one_resting_order_are_one_execution_until_it_is_amended() -> None:
    seen = Seen()
    seen.order(1)
    for _ in range(10):
        seen.fill(order_id="o1")
    assert seen.view().repeated_executions == 1
    for total_e2 in range(2_000, 6_000, 1_000):
        seen.wait(0.1)
        seen.order(1, reason="Amend", initial_e2=total_e2)
        seen.fill(order_id="o1")
    assert seen.view().repeated_executions == 5


def test_a_window_later_it_is_over_and_late_news_do_not_begin_it_again() -> None:
    seen = Seen(repeated_window_ms=2_000)
    seen.fill()
    seen.fill()
    seen.wait(1.9)
    assert seen.view().repeated_executions == 2
    seen.wait(0.1)
    assert seen.view().repeated_executions == 0
    seen.fill(age_s=2)
    assert seen.view().repeated_executions == 0

"""New orders within a minute, at its edge and as the own private feed shows them."""

from __future__ import annotations

from libs.common.kalshi.model import OwnOrder
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import limits
from tests.support.truth_builders import MS, S, venue_order

NAME = "order_rate"


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(orders_last_minute=60), limits(orders_per_minute=60)) is None
    fired = check(NAME, View(orders_last_minute=61), limits(orders_per_minute=60))
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (60, 61, True)


def test_a_limit_of_zero_allows_no_order() -> None:
    assert check(NAME, View(), limits(orders_per_minute=0)) is None
    assert check(NAME, View(orders_last_minute=1), limits(orders_per_minute=0)) is not None


def test_each_new_order_of_ours_counts_once_and_for_a_minute() -> None:
    core = running_guard(limits(orders_per_minute=2))
    for number in (1, 2, 2, 2):
        core.on_feed(OwnOrder(venue_order(number)), 1)
    core.on_feed(OwnOrder(venue_order(9, client_order_id="somebody-else")), 1)
    assert halts(tick(core, MS)) == []
    assert core.standing.view.orders_last_minute == 2
    core.on_feed(OwnOrder(venue_order(3)), 2)
    (halt,) = halts(tick(core, 2 * MS))
    assert halt.halt.trigger == NAME
    tick(core, 61 * S)
    assert NAME not in red(core)

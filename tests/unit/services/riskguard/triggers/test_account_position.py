"""All positions together, each as if positive: at the edge and from fills and the listing."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.kalshi.model import OwnFill
from services.riskguard.core.money.view import MoneyView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, reading, red, running_guard, tick
from tests.support.riskguard_limits import money
from tests.support.truth_builders import MS, venue_fill, venue_position

NAME = "account_position"
LIMITS = money(account_position_e2=1_000)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(money=MoneyView(account_position_e2=1_000)), LIMITS) is None
    fired = check(NAME, View(money=MoneyView(account_position_e2=1_001)), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (1_000, 1_001, True)


def test_everything_adds_up_by_the_larger_of_fills_and_listing() -> None:
    core = running_guard(LIMITS)
    for market, side in (("A", Side.BID), ("B", Side.ASK)):
        core.on_feed(OwnFill(venue_fill(market, market=market, side=side, qty_e2=400)), 1)
    core.on_reading(reading(1, positions=(venue_position(600, "A"),)), MS)
    tick(core, MS)
    assert red(core) == set()
    core.on_reading(reading(2, positions=(venue_position(601, "A"),)), 2 * MS)
    effects = tick(core, 2 * MS)
    assert red(core) == {NAME}
    assert [halt.halt.trigger for halt in halts(effects)] == [NAME]

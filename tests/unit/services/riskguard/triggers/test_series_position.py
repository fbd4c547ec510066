"""All positions of one series, each as if positive: at the edge and from real fills."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.kalshi.model import OwnFill
from services.riskguard.core.money.view import MoneyView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import money
from tests.support.truth_builders import MS, venue_fill

NAME = "series_position"
LIMITS = money(series_position_e2=1_000)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(money=MoneyView(series_positions={"S": 1_000, "T": 1_000})), LIMITS) is None
    fired = check(NAME, View(money=MoneyView(series_positions={"S": 5, "T": 1_001})), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (1_000, 1_001, True)
    assert "T" in fired.text


def test_events_of_one_series_add_up_by_the_name_of_their_markets() -> None:
    core = running_guard(LIMITS)
    for market, side, qty_e2 in (
        ("S-1-A", Side.BID, 600),
        ("S-2-A", Side.ASK, 400),
        ("T-1", Side.BID, 1_000),
    ):
        core.on_feed(OwnFill(venue_fill(market, market=market, side=side, qty_e2=qty_e2)), 1)
    tick(core, MS)
    assert red(core) == set()
    core.on_feed(OwnFill(venue_fill("more", market="S-2-A", side=Side.ASK, qty_e2=1)), 1)
    effects = tick(core, 2 * MS)
    assert red(core) == {NAME}
    assert [halt.halt.trigger for halt in halts(effects)] == [NAME]

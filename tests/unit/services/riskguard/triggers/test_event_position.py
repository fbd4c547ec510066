"""All positions of one event, each as if positive: at the edge and from real fills."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.kalshi.model import OwnFill
from services.riskguard.core.money.view import MoneyView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import money
from tests.support.truth_builders import MS, top, venue_fill

NAME = "event_position"
LIMITS = money(event_position_e2=1_000)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(money=MoneyView(event_positions={"E": 1_000, "F": 1_000})), LIMITS) is None
    fired = check(NAME, View(money=MoneyView(event_positions={"E": 5, "F": 1_001})), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (1_000, 1_001, True)
    assert "F" in fired.text


def test_long_and_short_of_one_event_add_up_and_another_event_does_not() -> None:
    core = running_guard(LIMITS)
    held = (("A", "E", Side.BID, 600), ("B", "E", Side.ASK, 400), ("C", "F", Side.BID, 1_000))
    for market, event, side, qty_e2 in held:
        core.on_top(top(market, event=event), 1)
        core.on_feed(OwnFill(venue_fill(market, market=market, side=side, qty_e2=qty_e2)), 1)
    tick(core, MS)
    assert red(core) == set()
    core.on_feed(OwnFill(venue_fill("more", market="B", side=Side.ASK, qty_e2=1)), 1)
    effects = tick(core, 2 * MS)
    assert red(core) == {NAME}
    assert [halt.halt.trigger for halt in halts(effects)] == [NAME]


def test_markets_whose_event_nobody_told_are_alone() -> None:
    core = running_guard(LIMITS)
    for market in ("X-1", "X-2"):
        core.on_feed(OwnFill(venue_fill(market, market=market, qty_e2=1_000)), 1)
    tick(core, MS)
    assert red(core) == set()

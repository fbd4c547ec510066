"""A price grid that changes under our orders."""

from __future__ import annotations

from libs.common.kalshi.model import OwnOrder
from libs.common.messages.market import BandV1
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.slow.view import SlowView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, reading, red, running_guard, tick
from tests.support.riskguard_limits import WIDE, slow
from tests.support.slow_builders import status
from tests.support.truth_builders import MARKET, MS, S, venue_order, venue_position

NAME = "grid_change"
LIMITS = slow(grid_settle_ms=5_000)
FINE = (BandV1(start_e4=0, end_e4=10_000, step_e4=10),)


def quoting() -> RiskguardCore:
    core = running_guard(LIMITS)
    core.on_status(status(), S)
    core.on_reading(reading(orders=(venue_order(),)), S)
    return core


def test_it_fires_until_its_edge_and_not_after() -> None:
    assert check(NAME, View(), LIMITS) is None
    for since_ms, is_red in ((0, True), (4_999, True), (5_000, False)):
        view = View(slow=SlowView(grid_settling_ms=since_ms, grid_market="M"))
        assert (check(NAME, view, LIMITS) is not None) == is_red
    assert check(NAME, View(slow=SlowView(grid_settling_ms=0)), WIDE) is None, "zero is zero"


def test_a_change_under_a_resting_order_pauses_for_a_while_and_names_the_market() -> None:
    core = quoting()
    core.on_status(status(), 2 * S)
    tick(core, 2 * S)
    assert NAME not in red(core)
    core.on_status(status(grid=FINE), 3 * S)
    assert halts(tick(core, 3 * S)) == []
    assert MARKET in next(f.text for f in core.standing.fired if f.trigger == NAME)
    core.on_status(status(grid=FINE), 4 * S)
    tick(core, 8 * S - MS)
    assert NAME in red(core)
    tick(core, 8 * S)
    assert NAME not in red(core)


def test_an_order_that_only_the_feed_told_of_counts() -> None:
    core = running_guard(LIMITS)
    core.on_status(status(), S)
    core.on_feed(OwnOrder(venue_order()), 2 * S)
    core.on_status(status(grid=FINE), 2 * S)
    tick(core, 2 * S)
    assert NAME in red(core)


def test_a_market_in_which_nothing_of_ours_rests_may_change() -> None:
    core = running_guard(LIMITS)
    core.on_reading(reading(positions=(venue_position(100),)), S)
    core.on_status(status(), S)
    core.on_status(status(grid=FINE), 2 * S)
    tick(core, 2 * S)
    assert NAME not in red(core)


def test_the_first_word_about_a_market_is_no_change() -> None:
    core = running_guard(LIMITS)
    core.on_reading(reading(orders=(venue_order(),)), S)
    core.on_status(status(grid=FINE), S)
    tick(core, S)
    assert NAME not in red(core)

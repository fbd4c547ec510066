"""The fall from the day's best result, at its edge and from marks that rise and fall."""

from __future__ import annotations

from libs.common.kalshi.model import OwnFill
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import limits
from tests.support.truth_builders import MS, NOW_MS, top, venue_fill

NAME = "max_drawdown"
LIMITS = limits(drawdown_e6=150)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(day_e6=51, high_water_e6=200), LIMITS) is None
    fired = check(NAME, View(day_e6=50, high_water_e6=200), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (150, 150, True)


def test_a_limit_of_zero_needs_a_fall() -> None:
    zero = limits(drawdown_e6=0)
    assert check(NAME, View(day_e6=200, high_water_e6=200), zero) is None
    assert check(NAME, View(day_e6=199, high_water_e6=200), zero) is not None


def test_a_gain_that_is_given_back_is_a_drawdown_though_the_day_is_even() -> None:
    """Bought at 0.40, worth 0.50 for a moment, then 0.40 again: a dollar of ten contracts is gone."""
    for limit_e6, expected in ((1_000_001, set()), (1_000_000, {NAME})):
        core = running_guard(limits(drawdown_e6=limit_e6))
        core.on_top(top(bid_e4=5_000, ask_e4=5_200), 1)
        core.on_feed(OwnFill(venue_fill(qty_e2=1_000, price_e4=4_000, venue_ms=NOW_MS + 1)), 1)
        tick(core, 10 * MS)
        assert red(core) == set()
        core.on_top(top(bid_e4=4_000), 11 * MS)
        effects = tick(core, 20 * MS)
        assert red(core) == expected
        assert [halt.halt.trigger for halt in halts(effects)] == sorted(expected)

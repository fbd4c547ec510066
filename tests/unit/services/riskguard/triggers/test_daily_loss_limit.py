"""The day's loss, at its edge and from fills and marks."""

from __future__ import annotations

from libs.common.kalshi.model import OwnFill
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import limits
from tests.support.truth_builders import MS, NOW_MS, top, venue_fill

NAME = "daily_loss_limit"
LIMITS = limits(daily_loss_e6=100)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(day_e6=-99), LIMITS) is None
    fired = check(NAME, View(day_e6=-100), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (100, 100, True)


def test_a_limit_of_zero_is_reached_by_a_day_without_a_result() -> None:
    zero = limits(daily_loss_e6=0)
    assert check(NAME, View(day_e6=0), zero) is not None
    assert check(NAME, View(day_e6=1), zero) is None


def test_a_position_that_is_worth_less_than_it_cost_is_a_loss_of_the_day() -> None:
    """Ten contracts at 0.40 that could be sold at 0.30 now have lost a dollar."""
    for limit_e6, expected in ((1_000_001, set()), (1_000_000, {NAME})):
        core = running_guard(limits(daily_loss_e6=limit_e6))
        core.on_top(top(bid_e4=3_000), 1)
        core.on_feed(OwnFill(venue_fill(qty_e2=1_000, price_e4=4_000, venue_ms=NOW_MS + 1)), 1)
        effects = tick(core, 10 * MS)
        assert red(core) == expected
        assert [halt.halt.trigger for halt in halts(effects)] == sorted(expected)


def test_fees_count_as_losses() -> None:
    core = running_guard(limits(daily_loss_e6=70_000))
    core.on_top(top(bid_e4=4_000), 1)
    core.on_feed(OwnFill(venue_fill(price_e4=4_000, fee_e6=70_000, venue_ms=NOW_MS + 1)), 1)
    tick(core, 10 * MS)
    assert NAME in red(core)

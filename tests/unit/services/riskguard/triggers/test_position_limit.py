"""The size of a position, either way, at its edge and from fills."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.kalshi.model import OwnFill
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, reading, red, running_guard, tick
from tests.support.riskguard_limits import limits
from tests.support.truth_builders import MARKET, MS, S, venue_fill, venue_position

NAME = "position_limit"
LIMITS = limits(position_e2=1_000)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(positions={"A": -1_000, "B": 1_000}), LIMITS) is None
    fired = check(NAME, View(positions={"A": -1_001, "B": 5}), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (1_000, 1_001, True)
    assert "A holds -1001" in fired.text


def test_a_limit_of_zero_allows_no_contract() -> None:
    assert check(NAME, View(), limits(position_e2=0)) is None
    assert check(NAME, View(positions={"A": 1}), limits(position_e2=0)) is not None


def test_a_fill_one_unit_too_large_halts_and_one_that_fits_does_not() -> None:
    for side in Side:
        core = running_guard(LIMITS)
        core.on_feed(OwnFill(venue_fill("t1", side=side, qty_e2=1_000)), 1)
        assert halts(tick(core, MS)) == []
        core.on_feed(OwnFill(venue_fill("t2", side=side, qty_e2=1)), 1)
        (halt,) = halts(tick(core, 2 * MS))
        assert halt.halt.trigger == NAME


def test_a_position_that_only_the_listing_shows_counts() -> None:
    core = running_guard(LIMITS)
    core.on_reading(reading(S, positions=(venue_position(-1_001, MARKET),)), S)
    tick(core, S)
    assert NAME in red(core)

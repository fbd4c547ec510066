"""The worst case of one market, at its edge and from fills and resting orders."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.kalshi.model import OwnFill, OwnOrder
from libs.common.messages.execution import OrderState
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import limits
from tests.support.truth_builders import MS, order_event, venue_fill, venue_order

NAME = "market_exposure"
LIMITS = limits(market_exposure_e6=200)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(market_exposure_e6={"A": 200, "B": 199}), LIMITS) is None
    fired = check(NAME, View(market_exposure_e6={"A": 200, "B": 201}), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (200, 201, True)
    assert "B can lose 201" in fired.text


def test_a_limit_of_zero_allows_no_risk() -> None:
    zero = limits(market_exposure_e6=0)
    assert check(NAME, View(market_exposure_e6={"A": 0}), zero) is None
    assert check(NAME, View(market_exposure_e6={"A": 1}), zero) is not None


def test_what_is_held_and_what_may_still_fill_add_up() -> None:
    """Ten contracts bought at 0.40 and ten more bid for at 0.40: eight dollars can be lost."""
    for limit_e6, expected in ((8_000_000, set()), (7_999_999, {NAME})):
        core = running_guard(limits(market_exposure_e6=limit_e6))
        core.on_feed(OwnFill(venue_fill(qty_e2=1_000, price_e4=4_000)), 1)
        core.on_feed(OwnOrder(venue_order(2, side=Side.BID, price_e4=4_000, remaining_e2=1_000)), 1)
        effects = tick(core, MS)
        assert red(core) == expected
        assert [halt.halt.trigger for halt in halts(effects)] == sorted(expected)


def test_an_order_that_the_executor_does_not_know_the_fate_of_may_fill() -> None:
    core = running_guard(limits(market_exposure_e6=3_999_999))
    core.on_order(order_event(1, state=OrderState.UNKNOWN, price_e4=4_000, remaining_e2=1_000), 1)
    tick(core, MS)
    assert NAME in red(core)

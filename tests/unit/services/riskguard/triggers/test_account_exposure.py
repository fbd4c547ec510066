"""The worst case of the whole account, at its edge and from markets of several events."""

from __future__ import annotations

from libs.common.kalshi.model import OwnFill
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import limits
from tests.support.truth_builders import MS, top, venue_fill

NAME = "account_exposure"
LIMITS = limits(account_exposure_e6=400)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(account_exposure_e6=400), LIMITS) is None
    fired = check(NAME, View(account_exposure_e6=401), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (400, 401, True)


def test_a_limit_of_zero_allows_no_risk() -> None:
    zero = limits(account_exposure_e6=0)
    assert check(NAME, View(), zero) is None
    assert check(NAME, View(account_exposure_e6=1), zero) is not None


def test_what_each_event_can_lose_adds_up() -> None:
    """Ten contracts at 0.40 in each of two events: eight dollars."""
    for limit_e6, expected in ((8_000_000, set()), (7_999_999, {NAME})):
        core = running_guard(limits(account_exposure_e6=limit_e6))
        for number, event in enumerate(("E", "F")):
            market = f"{event}-{number}"
            core.on_top(top(market, event=event), 1)
            fill = venue_fill(
                f"t{number}", market=market, order_id=f"o{number}", qty_e2=1_000, price_e4=4_000
            )
            core.on_feed(OwnFill(fill), 1)
        effects = tick(core, MS)
        assert red(core) == expected
        assert [halt.halt.trigger for halt in halts(effects)] == sorted(expected)

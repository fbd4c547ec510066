"""The worst case of one event, at its edge and from markets whose outcomes exclude each other or do not."""

from __future__ import annotations

from libs.common.kalshi.model import OwnFill
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import limits
from tests.support.truth_builders import MS, top, venue_fill

NAME = "event_exposure"
LIMITS = limits(event_exposure_e6=300)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(event_exposure_e6={"E": 300, "F": 1}), LIMITS) is None
    fired = check(NAME, View(event_exposure_e6={"E": 301, "F": 1}), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (300, 301, True)
    assert "E can lose 301" in fired.text


def test_a_limit_of_zero_allows_no_risk() -> None:
    zero = limits(event_exposure_e6=0)
    assert check(NAME, View(event_exposure_e6={"E": 0}), zero) is None
    assert check(NAME, View(event_exposure_e6={"E": 1}), zero) is not None


def test_markets_of_one_event_add_up_and_those_of_others_do_not() -> None:
    """Twice ten contracts at 0.40 in one event can lose eight dollars, in two events four each."""
    for events, expected in ((("E", "E"), {NAME}), (("E", "F"), set())):
        core = running_guard(limits(event_exposure_e6=7_999_999))
        for number, event in enumerate(events):
            market = f"{event}-{number}"
            core.on_top(top(market, event=event), 1)
            fill = venue_fill(
                f"t{number}", market=market, order_id=f"o{number}", qty_e2=1_000, price_e4=4_000
            )
            core.on_feed(OwnFill(fill), 1)
        effects = tick(core, MS)
        assert red(core) == expected
        assert [halt.halt.trigger for halt in halts(effects)] == sorted(expected)

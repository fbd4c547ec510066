"""The worst case of a series, at its edge and from exclusive events of it."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.kalshi.model import OwnFill
from libs.common.messages.market import BandV1, FeeTermsV1, MarketState, MarketV1
from services.riskguard.core.money.view import MoneyView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import money
from tests.support.truth_builders import MS, NOW_MS, venue_fill

NAME = "series_exposure"


def status(market: str, event: str) -> MarketV1:
    return MarketV1(
        market=market,
        event=event,
        series="S",
        shard=0,
        state=MarketState.ACTIVE,
        title="t",
        grid=(BandV1(start_e4=0, end_e4=10_000, step_e4=100),),
        fee=FeeTermsV1(fee_type="quadratic", multiplier_e4=10_000),
        open_ms=0,
        close_ms=NOW_MS,
        is_exclusive_event=True,
        can_close_early=False,
        trading_active=True,
        sequence=1,
        producer="p",
    )


def test_it_fires_at_its_edge_and_not_before() -> None:
    limits = money(series_exposure_e6=400)
    assert check(NAME, View(money=MoneyView(series_exposure_e6={"S": 400, "T": 400})), limits) is None
    fired = check(NAME, View(money=MoneyView(series_exposure_e6={"S": 5, "T": 401})), limits)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (400, 401, True)


def test_of_exclusive_outcomes_one_comes_true_and_events_of_a_series_may_all_go_wrong() -> None:
    """Sold at 40 cents: each outcome that comes true costs 6 dollars, and at most one of an event does."""
    for limit_e6, expected in ((4_000_000, set()), (3_999_999, {NAME})):
        core = running_guard(money(series_exposure_e6=limit_e6))
        for market, event in (("A", "E"), ("B", "E"), ("C", "F"), ("D", "F")):
            core.on_status(status(market, event), 1)
            fill = venue_fill(market, market=market, side=Side.ASK, price_e4=4_000, qty_e2=1_000)
            core.on_feed(OwnFill(fill), 1)
        effects = tick(core, MS)
        assert red(core) == expected
        assert [halt.halt.trigger for halt in halts(effects)] == sorted(expected)

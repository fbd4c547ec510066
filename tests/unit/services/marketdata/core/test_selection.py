from __future__ import annotations

from libs.common.kalshi.model import VenueMarket
from libs.common.messages.market import MarketState
from services.marketdata.core.selection import Selection, choose
from tests.support.market_builders import venue_market

_MARKETS: list[tuple[VenueMarket, str]] = [
    (venue_market("A", event="E1", volume_e2=500), "S1"),
    (venue_market("B", event="E1", volume_e2=900), "S1"),
    (venue_market("C", event="E2", volume_e2=0), "S2"),
    (venue_market("D", event="E3", volume_e2=900, state=MarketState.FINALIZED), "S2"),
]


def test_the_busiest_are_followed_and_those_without_volume_skipped() -> None:
    assert choose(_MARKETS, Selection(top_by_volume=20), 1, ()) == ("A", "B")
    assert choose(_MARKETS, Selection(top_by_volume=1), 1, ()) == ("B",)


def test_named_markets_series_and_events_come_whatever_their_volume() -> None:
    assert choose(_MARKETS, Selection(tickers=("C",), top_by_volume=0), 1, ()) == ("C",)
    assert choose(_MARKETS, Selection(series=("S2",), top_by_volume=0), 1, ()) == ("C",)
    assert choose(_MARKETS, Selection(events=("E1",), top_by_volume=0), 1, ()) == ("A", "B")


def test_a_followed_market_stays_although_a_livelier_one_appears() -> None:
    assert choose(_MARKETS, Selection(top_by_volume=1), 1, ("A",)) == ("A",)

"""What each market is by marketdata's word, and in which of them we hold or quote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from libs.common.kalshi.model import VenueOrder, VenueOrderStatus
from libs.common.messages.market import BandV1, FeeTermsV1, MarketState, MarketV1
from services.riskguard.core.reading import Reading

_NAMED_KEPT_NS: Final = 5_000_000_000
"""A listing lags behind what the feed told; a market that the feed named stays ours for as long."""
_MARKETS_MAX: Final = 50_000
_OVER: Final = frozenset(
    {
        MarketState.CLOSED,
        MarketState.DETERMINED,
        MarketState.DISPUTED,
        MarketState.AMENDED,
        MarketState.FINALIZED,
    }
)


@dataclass(frozen=True, slots=True)
class Terms:
    """One market."""

    event: str
    series: str
    fee: FeeTermsV1
    grid: tuple[BandV1, ...]
    is_over: bool
    """Nothing can be traded in it any more."""


class Markets:
    """All that were heard of; of too many the one longest unheard makes room."""

    def __init__(self) -> None:
        self._terms: dict[str, Terms] = {}
        self._quoted: frozenset[str] = frozenset()
        self._held: frozenset[str] = frozenset()
        self._named_ns: dict[str, int] = {}

    def on_status(self, status: MarketV1) -> Terms | None:
        """Take what a market is and return what it was, None if it is new."""
        before = self._terms.pop(status.market, None)
        if len(self._terms) >= _MARKETS_MAX:
            del self._terms[next(iter(self._terms))]
        self._terms[status.market] = Terms(
            status.event, status.series, status.fee, status.grid, status.state in _OVER
        )
        return before

    def on_reading(self, reading: Reading) -> None:
        """Take where our orders rest and our positions lie."""
        self._quoted = frozenset(order.market for order in reading.orders)
        self._held = frozenset(position.market for position in reading.positions if position.qty_e2)

    def on_own_order(self, order: VenueOrder, now_ns: int) -> None:
        """Take an order of ours; one that rests makes its market one that we quote."""
        if order.status is VenueOrderStatus.RESTING:
            self._named_ns[order.market] = now_ns

    def quoted(self, now_ns: int) -> frozenset[str]:
        """Return the markets in which orders of ours rest."""
        self._named_ns = {m: at for m, at in self._named_ns.items() if now_ns - at <= _NAMED_KEPT_NS}
        return self._quoted | self._named_ns.keys()

    def ours(self, now_ns: int) -> dict[str, Terms]:
        """Return the markets that we hold or quote, as far as marketdata follows them."""
        names = self.quoted(now_ns) | self._held
        return {name: self._terms[name] for name in names if name in self._terms}

    def terms(self, market: str) -> Terms | None:
        """Return what a market is, None where nobody said."""
        return self._terms.get(market)

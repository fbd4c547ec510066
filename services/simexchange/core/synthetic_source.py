"""Synthetic flow on a schedule: a steady rate of acts, and a life for its markets.

When the market life is over, every market closes, is determined by a draw from
its latent probability, and settles. Late acts are not caught up beyond a short
lag: synthetic flow has no recording to be true to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.common.messages.market import MarketState
from services.simexchange.core.fifo_book import FifoBook
from services.simexchange.core.synthetic import Rng, SyntheticFlow
from services.simexchange.core.synthetic_listing import listings
from services.simexchange.core.venue import Venue

NS_PER_S: Final = 1_000_000_000
LAG_NS_MAX: Final = 250_000_000
SETTLEMENT_TIMER_S: Final = 1.0


class SyntheticSource:
    """See the module."""

    def __init__(
        self, venue: Venue, rng: Rng, *, start_ns: int, events_per_s: float, market_life_s: float
    ) -> None:
        self._venue = venue
        self.flow = SyntheticFlow(venue, rng)
        self._step_ns = int(NS_PER_S / events_per_s)
        self._next_ns = start_ns + self._step_ns
        self._start_ns = start_ns
        self._slip_ns = 0
        self._close_ns = start_ns + int(market_life_s * NS_PER_S)
        self._names: list[str] = []
        self._is_over = False
        self._list(start_ns)

    def next_ns(self) -> int | None:
        """Return when the next act is due, or None after the determination."""
        return None if self._is_over else self._next_ns

    def play_next(self, now_ns: int) -> None:
        """Let one trader act, or determine the markets once all have closed."""
        if now_ns >= self._close_ns:
            self._determine(now_ns)
            return
        self.flow.step(now_ns)
        self._next_ns += self._step_ns
        if now_ns - self._next_ns > LAG_NS_MAX:
            self._slip_ns += now_ns - self._next_ns
            self._next_ns = now_ns

    def keep_schedule(self, now_ns: int) -> None:
        """Do nothing: acts that are late do not move a synthetic close."""

    def progress(self, now_ns: int) -> Mapping[str, object]:
        """Return steps, orders, and the states of the markets."""
        states = [self._venue.markets[name].state for name in self._names]
        passed_ns = max(1, now_ns - self._start_ns)
        return {
            "kind": "synthetic",
            "events_played": self.flow.steps,
            "orders": self.flow.orders,
            "speed": 1.0,
            "effective_speed": round(1.0 - min(1.0, self._slip_ns / passed_ns), 3),
            "slipped_ms": self._slip_ns // 1_000_000,
            "markets": len(states),
            "open": sum(s in {MarketState.ACTIVE, MarketState.INACTIVE} for s in states),
            "closed": sum(s in {MarketState.CLOSED, MarketState.DETERMINED} for s in states),
            "settled": sum(s is MarketState.FINALIZED for s in states),
            "is_over": self._is_over and all(s is MarketState.FINALIZED for s in states),
        }

    def _list(self, now_ns: int) -> None:
        self.flow.open_accounts(now_ns)
        for listing in listings(now_ns, self._close_ns, SETTLEMENT_TIMER_S):
            if listing.series.series not in self._venue.floor.series:
                self._venue.add_series(listing.series)
            self._venue.add_event(listing.event, now_ns)
            for spec in listing.markets:
                self._venue.add_market(spec, FifoBook(), now_ns)
                self._names.append(spec.market)
            self.flow.add_event([m.market for m in listing.markets], listing.latent)
        self.flow.fill_books(now_ns)

    def _determine(self, now_ns: int) -> None:
        self._is_over = True
        self._venue.advance(now_ns)
        for market, result in self.flow.results().items():
            self._venue.set_result(market, result, now_ns)

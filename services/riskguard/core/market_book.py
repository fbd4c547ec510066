"""One market's fills and settlement in venue order, and what they make: position, result, the day's share.

A fill that arrives late is put where it belongs and the market is added up
again, so the result never depends on the path a fill took.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from libs.common.domain.ledger import Position
from libs.common.kalshi.model import VenueFill, VenueSettlement

Event = VenueFill | VenueSettlement


@dataclass(slots=True)
class DaySums:
    """What happened since the day began."""

    realised_e6: int = 0
    settled_e6: int = 0
    fees_e6: int = 0


@dataclass(slots=True)
class MarketBook:
    """One market; ``day_ms`` is when the day began."""

    day_ms: int
    position: Position = field(default_factory=Position)
    day: DaySums = field(default_factory=DaySums)
    _events: list[Event] = field(default_factory=list)
    _keys: list[tuple[int, int, str]] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Count one event; the caller has removed duplicates."""
        key = _key(event)
        at = bisect.bisect(self._keys, key)
        is_newest = at == len(self._keys)
        self._keys.insert(at, key)
        self._events.insert(at, event)
        if is_newest:
            self._apply(event)
        else:
            self._add_up()

    def begin_day(self, day_ms: int) -> None:
        """Begin a new day: its sums start again."""
        self.day_ms = day_ms
        self._add_up()

    def _add_up(self) -> None:
        self.position, self.day = Position(), DaySums()
        for event in self._events:
            self._apply(event)

    def _apply(self, event: Event) -> None:
        fees_e6 = self.position.fees_e6
        is_today = _key(event)[0] >= self.day_ms
        if isinstance(event, VenueSettlement):
            result_e6 = self.position.apply_settlement(event.revenue_e6, event.fee_e6)
            if is_today:
                self.day.settled_e6 += result_e6
        else:
            result_e6 = self.position.apply_fill(event.side, event.price_e4, event.qty_e2, event.fee_e6)
            if is_today:
                self.day.realised_e6 += result_e6
        if is_today:
            self.day.fees_e6 += self.position.fees_e6 - fees_e6


def _key(event: Event) -> tuple[int, int, str]:
    if isinstance(event, VenueSettlement):
        return (event.settled_ms, 1, event.market)
    return (event.venue_ms, 0, event.trade_id)

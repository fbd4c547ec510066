"""One market's fills and settlements in venue order, and what they make: position, result, the day's share.

A fill that arrives late is put where it belongs and the market is added up
again, so the result never depends on the path a fill took. A settlement may be
amended: a newer record of the market replaces what the older one paid, from its
own time on, so a correction of yesterday's result is a result of today. Where
the stamp stayed and the content changed, the content told last is the record.

Events of long ago are added up for good when a day begins: what came in between
is at most `KEPT_MS` old, and memory is bounded by what happens in that time.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from libs.common.domain.ledger import Position
from libs.common.kalshi.model import VenueFill, VenueSettlement
from services.riskguard.core.money.round_trips import RoundTrips

KEPT_MS: Final = 2 * 86_400_000
"""How long before the beginning of the day events are kept one by one."""
Event = VenueFill | VenueSettlement
Key = tuple[int, int, str]
"""Exchange time, fills before settlements, and a name: a total order."""


@dataclass(slots=True)
class Tally:
    """The sum of some events of one market, in venue order."""

    position: Position = field(default_factory=Position)
    settled_e6: int = 0
    """The part of the realised result that settlements paid."""
    fills: int = 0
    _paid: VenueSettlement | None = None

    @property
    def traded_e6(self) -> int:
        """Return the part of the realised result that fills made, before fees."""
        return self.position.realised_e6 - self.settled_e6

    def copy(self) -> Tally:
        """Return one that goes on by itself."""
        return replace(self, position=replace(self.position))

    def fill(self, fill: VenueFill) -> int:
        """Count a fill and return its realised result, before fees."""
        self.fills += 1
        return self.position.apply_fill(fill.side, fill.price_e4, fill.qty_e2, fill.fee_e6)

    def settle(self, settlement: VenueSettlement) -> int:
        """Count a settlement, replacing an earlier one, and return the change of the result before fees."""
        before, self._paid = self._paid, settlement
        if before is None:
            change_e6 = self.position.apply_settlement(settlement.gross_e6, settlement.fee_e6)
        else:
            change_e6 = self.position.amend_settlement(
                settlement.gross_e6 - before.gross_e6, settlement.fee_e6 - before.fee_e6
            )
        self.settled_e6 += change_e6
        return change_e6


@dataclass(slots=True)
class MarketBook:
    """One market; ``day_ms`` is when the day began."""

    day_ms: int
    shard: int = 0
    now: Tally = field(default_factory=Tally)
    opening: Tally = field(default_factory=Tally)
    """The same at the beginning of the day."""
    trips: RoundTrips = field(default_factory=RoundTrips)
    _events: list[Event] = field(default_factory=list)
    _keys: list[Key] = field(default_factory=list)
    _cash_e6: list[int] = field(default_factory=list)
    """Money that had flowed after each event."""
    _past: tuple[Tally, RoundTrips] = field(default_factory=lambda: (Tally(), RoundTrips()))
    """What is added up for good."""

    @property
    def position(self) -> Position:
        """Return the position now."""
        return self.now.position

    def add(self, event: Event) -> bool:
        """Count one event and return whether it changed anything; the caller has removed doubled fills."""
        key = _key(event)
        self.shard = event.shard
        at = bisect.bisect_left(self._keys, key)
        if at < len(self._keys) and self._keys[at] == key:
            if self._events[at] == event:
                return False
            self._events[at] = event
            self._add_up()
            return True
        self._keys.insert(at, key)
        self._events.insert(at, event)
        if at == len(self._keys) - 1:
            self._apply(event)
        else:
            self._add_up()
        return True

    def begin_day(self, day_ms: int) -> None:
        """Begin a new day: what is now is its opening."""
        self.day_ms = day_ms
        self._forget(day_ms - KEPT_MS)
        self._add_up()

    def young(self, since_ms: int) -> Iterator[tuple[Key, int]]:
        """Yield the events from this exchange time on, each with the money that flowed by it."""
        first = bisect.bisect_left(self._keys, (since_ms, 0, ""))
        for at in range(first, len(self._keys)):
            before_e6 = self._cash_e6[at - 1] if at else self._past[0].position.cash_e6
            yield self._keys[at], self._cash_e6[at] - before_e6

    def _forget(self, before_ms: int) -> None:
        """Add up for good what happened before this exchange time."""
        count = bisect.bisect_left(self._keys, (before_ms, 0, ""))
        if not count:
            return
        kept = self._events[count:], self._keys[count:]
        self._events = self._events[:count]
        self._add_up()
        self._past = (self.now, self.trips)
        self._events, self._keys = kept

    def _add_up(self) -> None:
        past, trips = self._past
        self.now, self.opening, self.trips, self._cash_e6 = past.copy(), past.copy(), trips.copy(), []
        for event in self._events:
            self._apply(event)

    def _apply(self, event: Event) -> None:
        at_ms, _, name = _key(event)
        position = self.now.position
        before_e2, before_fees_e6 = position.qty_e2, position.fees_e6
        at = (at_ms, event.market, name)
        if isinstance(event, VenueSettlement):
            change_e6 = self.now.settle(event)
            net_e6 = change_e6 - (position.fees_e6 - before_fees_e6)
            self.trips.on_settlement(at, before_e2, net_e6)
        else:
            realised_e6 = self.now.fill(event)
            self.trips.on_fill(at, before_e2, position.qty_e2, realised_e6, event.fee_e6)
        self._cash_e6.append(position.cash_e6)
        if at_ms >= self.day_ms:
            return
        if isinstance(event, VenueSettlement):
            self.opening.settle(event)
        else:
            self.opening.fill(event)


def _key(event: Event) -> Key:
    if isinstance(event, VenueSettlement):
        return (event.settled_ms, 1, event.market)
    return (event.venue_ms, 0, f"{event.trade_id}/{event.order_id}")

"""The account as this service reads it for itself: positions, result of the day, open orders.

Fills come from listings and from the own private feed, settlements and positions
from listings; the executor's word only adds orders that may rest (`open_orders.py`).
Until one whole listing has been read nothing is known, and unknown is closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.kalshi.model import VenueFill, VenuePosition
from services.riskguard.core.day import TradingDay
from services.riskguard.core.exposure import Holding
from services.riskguard.core.market_book import MarketBook
from services.riskguard.core.marks import Marks
from services.riskguard.core.open_orders import OpenOrders
from services.riskguard.core.reading import Reading


@dataclass(frozen=True, slots=True)
class Result:
    """The day's result in millionths of a dollar, its parts kept apart."""

    realised_e6: int = 0
    settled_e6: int = 0
    fees_e6: int = 0
    unrealised_liquidation_e6: int = 0
    unrealised_mid_e6: int = 0
    total_e6: int = 0
    """Of all fills ever read, at liquidation."""

    @property
    def day_e6(self) -> int:
        """Return what the loss limit looks at."""
        return self.realised_e6 + self.settled_e6 - self.fees_e6 + self.unrealised_liquidation_e6


@dataclass(slots=True)
class Account:
    """One account."""

    trading_day: TradingDay
    marks: Marks
    orders: OpenOrders
    read_ns: int | None = None
    """When the newest whole reading began, monotonic; None before the first."""
    fills_until_ms: int = 0
    high_water_e6: int = 0
    day_ms: int = 0
    _books: dict[str, MarketBook] = field(default_factory=dict)
    _known: set[tuple[str, str]] = field(default_factory=set)
    _settled: set[str] = field(default_factory=set)
    _listed: dict[str, VenuePosition] = field(default_factory=dict)

    def on_fill(self, fill: VenueFill) -> bool:
        """Count a fill, whatever path it came by, once; return whether it was new."""
        key = (fill.trade_id, fill.order_id)
        if key in self._known:
            return False
        self._known.add(key)
        self.fills_until_ms = max(self.fills_until_ms, fill.venue_ms)
        self._book(fill.market).add(fill)
        return True

    def on_reading(self, reading: Reading, now_ns: int) -> tuple[VenueFill, ...]:
        """Take one whole reading and return the fills in it that were new, in venue order."""
        new = tuple(fill for fill in sorted(reading.fills, key=lambda f: f.venue_ms) if self.on_fill(fill))
        for settlement in reading.settlements:
            if settlement.market not in self._settled:
                self._settled.add(settlement.market)
                self._book(settlement.market).add(settlement)
        self._listed = {position.market: position for position in reading.positions}
        self.orders.on_listing(reading.orders, reading.started_ns, now_ns)
        self.read_ns = reading.started_ns
        return new

    def begin_day_if_due(self, now_ms: int) -> bool:
        """Begin a new day when one has come; its sums and its high-water mark start again."""
        day_ms = self.trading_day.start_ms(now_ms)
        if day_ms == self.day_ms:
            return False
        self.day_ms, self.high_water_e6 = day_ms, 0
        for book in self._books.values():
            book.begin_day(day_ms)
        return True

    def positions(self) -> dict[str, int]:
        """Return the signed positions that are not flat, by our own sum of fills."""
        return {market: b.position.qty_e2 for market, b in self._books.items() if b.position.qty_e2}

    def listed_positions(self) -> dict[str, int]:
        """Return the positions of the newest listing that are not flat."""
        return {market: p.qty_e2 for market, p in self._listed.items() if p.qty_e2}

    def holdings(self) -> list[Holding]:
        """Return what is held and what may still fill; where listing and fills differ, both stories."""
        open_orders = self.orders.by_market()
        markets = {*self.positions(), *self.listed_positions(), *open_orders}
        found: list[Holding] = []
        for market in sorted(markets):
            event, is_exclusive = self.marks.event_of(market)
            stories = {self._own(market)}
            listed = self._listed.get(market)
            if listed is not None:
                stories.add((listed.qty_e2, listed.exposure_e6))
            found.append(
                Holding(market, event, is_exclusive, tuple(sorted(stories)), open_orders.get(market, ()))
            )
        return found

    def result(self, now_ns: int) -> Result:
        """Return the day's result and move the high-water mark."""
        realised = settled = fees = liquidation = mid = ever = 0
        for market, book in self._books.items():
            position = book.position
            realised += book.day.realised_e6
            settled += book.day.settled_e6
            fees += book.day.fees_e6
            ever += position.realised_e6 - position.fees_e6
            if position.qty_e2:
                closes_at = self.marks.liquidation_e6(market, position.qty_e2, now_ns)
                middle = self.marks.mid_e6(market, position.qty_e2)
                liquidation += 0 if closes_at is None else closes_at - position.cost_e6
                mid += 0 if middle is None else middle - position.cost_e6
        result = Result(realised, settled, fees, liquidation, mid, ever + liquidation)
        self.high_water_e6 = max(self.high_water_e6, result.day_e6)
        return result

    def _own(self, market: str) -> tuple[int, int]:
        book = self._books.get(market)
        return (0, 0) if book is None else (book.position.qty_e2, book.position.cost_e6)

    def _book(self, market: str) -> MarketBook:
        book = self._books.get(market)
        if book is None:
            book = self._books[market] = MarketBook(self.day_ms)
        return book

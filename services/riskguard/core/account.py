"""The account as this service reads it for itself: positions, result of the day, open orders.

Fills come from listings and from the own private feed, settlements and positions
from listings; the executor's word only adds orders that may rest (`open_orders.py`).
Until one whole listing has been read nothing is known, and unknown is closed.

The day's result is equity now minus equity when the day began (D-177): what is
held over midnight opens at its worth then (`money/opening.py`), so yesterday's
loss is not charged again. Money that was moved in or out never enters: equity
here is what fills and settlements made, plus what is held.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from libs.common.kalshi.model import VenueFill, VenuePosition, VenueSettlement
from services.riskguard.core.day import TradingDay
from services.riskguard.core.exposure import Holding
from services.riskguard.core.market_book import KEPT_MS, Key, MarketBook
from services.riskguard.core.marks import Marks
from services.riskguard.core.money.opening import Opening
from services.riskguard.core.money.round_trips import TRIPS_MAX, Trip
from services.riskguard.core.open_orders import OpenOrders
from services.riskguard.core.reading import Reading

_S = 1_000_000_000
_MARKS_AFTER_NS = 10 * _S
"""A start waits this long for the marks of what is held before a peak may be a peak."""


@dataclass(frozen=True, slots=True)
class Result:
    """The day's result in millionths of a dollar, its parts kept apart."""

    realised_e6: int = 0
    settled_e6: int = 0
    fees_e6: int = 0
    unrealised_liquidation_e6: int = 0
    """Of what is held now, against cost."""
    unrealised_mid_e6: int = 0
    unrealised_settlement_e6: int = 0
    """Of what is determined and not paid yet, against cost."""
    unrealised_open_e6: int = 0
    """Of what was held when the day began, at its worth then, against cost."""
    total_e6: int = 0
    """Of all fills ever read, at liquidation."""
    trades: int = 0
    """Fills since the day began."""

    @property
    def day_e6(self) -> int:
        """Return what the loss limit looks at: equity now minus equity when the day began."""
        made_e6 = self.realised_e6 + self.settled_e6 - self.fees_e6
        return made_e6 + self.unrealised_liquidation_e6 - self.unrealised_open_e6


@dataclass(slots=True)
class ShardSum:
    """What our own books say of one shard, in millionths of a dollar.

    Attributes:
        cash_e6: Money that flowed by fills and settlements, ever.
        worth_e6: Liquidation value of what is held; cost where no mark was ever seen.
        opening_e6: Both together when the day began.
    """

    cash_e6: int = 0
    worth_e6: int = 0
    opening_e6: int = 0


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
    opening: Opening = field(default_factory=Opening)
    _first_read_ns: int = 0
    _books: dict[str, MarketBook] = field(default_factory=dict)
    _known: dict[tuple[str, str], int] = field(default_factory=dict)
    """Fills that were counted, with their exchange time."""
    _forgotten_ms: int = 0
    """Fills from before this exchange time are counted, and which they were is not known any more."""
    _settled: dict[tuple[str, int], VenueSettlement] = field(default_factory=dict)
    _listed: dict[str, VenuePosition] = field(default_factory=dict)
    _trips: tuple[Trip, ...] | None = None

    def on_fill(self, fill: VenueFill) -> bool:
        """Count a fill, whatever path it came by, once; return whether it was new."""
        key = (fill.trade_id, fill.order_id)
        if key in self._known or fill.venue_ms < self._forgotten_ms:
            return False
        self._known[key] = fill.venue_ms
        self.fills_until_ms = max(self.fills_until_ms, fill.venue_ms)
        self._book(fill.market).add(fill)
        self._trips = None
        return True

    def on_reading(self, reading: Reading, now_ns: int) -> tuple[VenueFill, ...]:
        """Take one whole reading and return the fills in it that were new, in venue order."""
        fills = sorted(reading.fills, key=lambda f: (f.venue_ms, f.trade_id, f.order_id))
        new = tuple(fill for fill in fills if self.on_fill(fill))
        self._settle(reading.settlements)
        self._listed = {position.market: position for position in reading.positions}
        self.orders.on_listing(reading.orders, reading.started_ns, now_ns)
        if self.read_ns is None:
            self._first_read_ns = now_ns
        self.read_ns = reading.started_ns
        return new

    def begin_day_if_due(self, now_ms: int, now_ns: int) -> bool:
        """Begin a new day when one has come: its sums start again, from what is held at its worth now."""
        day_ms = self.trading_day.start_ms(now_ms)
        if day_ms == self.day_ms:
            return False
        self.day_ms, self.high_water_e6 = day_ms, 0
        self.opening.begin(self.marks, now_ns)
        for book in self._books.values():
            book.begin_day(day_ms)
        if self.read_ns is not None:
            # Listings overlap by a minute: nobody tells of these any more, and if, the comparison finds it.
            self._forgotten_ms = day_ms - KEPT_MS
            self._known = {key: ms for key, ms in self._known.items() if ms >= self._forgotten_ms}
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
                Holding(
                    market,
                    event,
                    is_exclusive,
                    tuple(sorted(stories)),
                    open_orders.get(market, ()),
                    self.marks.series_of(market),
                )
            )
        return found

    def result(self, now_ns: int) -> Result:
        """Return the day's result and move the high-water mark."""
        realised = settled = fees = liquidation = mid = settlement = opened = ever = trades = 0
        for market, book in self._books.items():
            position, before = book.position, book.opening.position
            realised += book.now.traded_e6 - book.opening.traded_e6
            settled += book.now.settled_e6 - book.opening.settled_e6
            fees += position.fees_e6 - before.fees_e6
            ever += position.realised_e6 - position.fees_e6
            trades += book.now.fills - book.opening.fills
            opened += self._opening_worth_e6(market, book, now_ns) - before.cost_e6
            if position.qty_e2:
                qty, cost = position.qty_e2, position.cost_e6
                liquidation += _gain(self.marks.liquidation_e6(market, qty, now_ns), cost)
                mid += _gain(self.marks.mid_e6(market, qty), cost)
                settlement += _gain(self.marks.settlement_e6(market, qty), cost)
        result = Result(
            realised, settled, fees, liquidation, mid, settlement, opened, ever + liquidation, trades
        )
        if self.is_marked(now_ns):
            self.high_water_e6 = max(self.high_water_e6, result.day_e6)
        return result

    def is_marked(self, now_ns: int) -> bool:
        """Return whether values may count as peaks: the account is read, and what is held has a mark.

        Right after a start positions count at cost until their books are heard;
        such a peak never was. A market that nobody shows is not waited for longer
        than a moment.
        """
        if self.read_ns is None:
            return False
        if now_ns - self._first_read_ns > _MARKS_AFTER_NS:
            return True
        return all(
            self.marks.leg_e4(market, now_ns, is_long=qty > 0) is not None
            for market, qty in self.positions().items()
        )

    def shards(self, now_ns: int) -> dict[int, ShardSum]:
        """Return what our own books say of each shard that we ever traded on."""
        found: dict[int, ShardSum] = {}
        for market, book in self._books.items():
            total, position = found.setdefault(book.shard, ShardSum()), book.position
            total.cash_e6 += position.cash_e6
            if position.qty_e2:
                worth = self.marks.liquidation_e6(market, position.qty_e2, now_ns)
                total.worth_e6 += position.cost_e6 if worth is None else worth
            opening_e6 = self._opening_worth_e6(market, book, now_ns)
            total.opening_e6 += book.opening.position.cash_e6 + opening_e6
        return found

    def young_cash(self, shard: int, since_ms: int) -> list[tuple[Key, int]]:
        """Return what moved cash on a shard from this exchange time on, in venue order."""
        books = (book for book in self._books.values() if book.shard == shard)
        return sorted(itertools.chain.from_iterable(book.young(since_ms) for book in books))

    def trips(self, count: int, since_ms: int) -> tuple[Trip, ...]:
        """Return the newest closed round trips of all markets, oldest first, closed since then."""
        assert count <= TRIPS_MAX, count
        if self._trips is None:
            closed = (trip for book in self._books.values() for trip in book.trips.closed)
            self._trips = tuple(sorted(closed)[-TRIPS_MAX:])
        return tuple(trip for trip in self._trips[-count:] if trip.closed_ms >= since_ms)

    def held_at_opening(self) -> frozenset[str]:
        """Return the markets in which something was held when the day began."""
        return frozenset(market for market, book in self._books.items() if book.opening.position.qty_e2)

    def _settle(self, settlements: tuple[VenueSettlement, ...]) -> None:
        # Two records of one stamp: the one that pays less is believed, whatever their order.
        for settlement in sorted(settlements, key=lambda s: (s.settled_ms, -s.revenue_e6)):
            key = (settlement.market, settlement.settled_ms)
            if self._settled.get(key) == settlement:
                continue
            self._settled[key] = settlement
            self._book(settlement.market).add(settlement)
            self._trips = None

    def _opening_worth_e6(self, market: str, book: MarketBook, now_ns: int) -> int:
        before = book.opening.position
        return self.opening.worth_e6(market, before.qty_e2, before.cost_e6, self.marks, now_ns)

    def _own(self, market: str) -> tuple[int, int]:
        book = self._books.get(market)
        return (0, 0) if book is None else (book.position.qty_e2, book.position.cost_e6)

    def _book(self, market: str) -> MarketBook:
        book = self._books.get(market)
        if book is None:
            book = self._books[market] = MarketBook(self.day_ms)
        return book


def _gain(worth_e6: int | None, cost_e6: int) -> int:
    return 0 if worth_e6 is None else worth_e6 - cost_e6

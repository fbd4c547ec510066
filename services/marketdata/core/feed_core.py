"""Marketdata's decisions: feed events in, messages and requests out, no clock and no I/O.

`on_events` applies what the venue said and returns what the shell must ask of
it (a snapshot, a look at a new market); `poll` returns the messages that are
due. The two are apart because publishing is paced (`conflate.py`) and applying
is not: a delta costs microseconds, a book message a hundred times that.

Whatever makes a book unbelievable (a gap, a contradiction, a closed or silent
feed) is published as stale with the next poll, ahead of the pace.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from libs.common.kalshi.model import (
    BookDelta,
    BookSnapshot,
    FeedClosed,
    FeedEvent,
    FeedHeard,
    FeedStale,
    Lifecycle,
    PublicTrade,
    VenueEvent,
    VenueMarket,
    VenueSeries,
)
from libs.common.messages.base import Wire
from libs.common.messages.market import MarketState, SiblingV1, WhaleV1
from libs.common.runtime.errors import BookCorrupt
from services.marketdata.core.book import AT_TOUCH, Book
from services.marketdata.core.catalog import Catalog
from services.marketdata.core.conflate import Conflator, Due
from services.marketdata.core.rules import FeedRules
from services.marketdata.core.staleness import Freshness
from services.marketdata.core.wording import book_message, top_message, trade_message

__all__ = ["Discover", "Effect", "FeedCore", "FeedRules", "Outgoing", "Resync"]


@dataclass(frozen=True, slots=True)
class Resync:
    """Ask the venue for fresh snapshots of these markets."""

    markets: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Discover:
    """The venue spoke of a market that nobody follows yet."""

    market: str


Effect = Resync | Discover


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to publish."""

    family: str
    market: str
    message: Wire
    tick_ns: int = 0
    """Monotonic arrival of the frame behind it; 0 where none is: a refresh, a status."""


_STATUS_PARTS = 32
"""Least number of ticks over which the repeated statuses of all markets are spread."""
_NO_SIBLING_STATES = frozenset({MarketState.DETERMINED, MarketState.FINALIZED, MarketState.DISPUTED})


class FeedCore:
    """All books of one feed."""

    def __init__(self, rules: FeedRules, producer: str) -> None:
        self._rules = rules
        self._producer = producer
        self._catalog = Catalog(producer)
        self._conflator = Conflator(rules.conflation)
        self._fresh = Freshness(rules.silence_ms)
        self._books: dict[str, Book] = {}
        self._outbox: list[Outgoing] = []
        self._resync_ns: dict[str, int] = {}
        self._is_silent = True
        self._tick_ns = 0
        self._status_ns: dict[str, int] = {}
        self._status_now: dict[str, None] = {}  # said before anything else of their market
        self.counters: Counter[str] = Counter()

    # Markets ----------------------------------------------------------------------------------------

    @property
    def markets(self) -> tuple[str, ...]:
        """Return the followed markets."""
        return self._catalog.markets()

    @property
    def is_silent(self) -> bool:
        """Return whether the feed said nothing for too long, as of the last poll."""
        return self._is_silent

    @property
    def as_of_ms(self) -> int:
        """Return the newest exchange time heard in order."""
        return self._fresh.as_of_ms

    def book(self, market: str) -> Book:
        """Return one market's book, for questions and tests."""
        return self._books[market]

    def stale_markets(self) -> tuple[str, ...]:
        """Return the markets whose books wait for a snapshot though they should have one."""
        return tuple(
            name
            for name, book in self._books.items()
            if not book.has_snapshot and book.status.state in (MarketState.ACTIVE, MarketState.INACTIVE)
        )

    def put_market(self, market: VenueMarket, event: VenueEvent, series: VenueSeries, now_ns: int) -> bool:
        """Take what a listing says of a market and return whether it is new."""
        is_new = market.market not in self._catalog
        changed = self._catalog.put(market, event, series, now_ns // 1_000_000)
        status = self._catalog.status(market.market)
        if is_new:
            self._books[market.market] = Book(status, self._rules.tau_ms, self._rules.whale)
            self._conflator.add(market.market)
            self._status_ns[market.market] = 0
            self._status_now[market.market] = None
        elif changed:
            self._changed([market.market])
        return is_new

    def drop_settled(self, now_ns: int) -> tuple[str, ...]:
        """Forget the markets whose settlement is old, and return them: unsubscribe from them."""
        over = self._catalog.settled_before(now_ns // 1_000_000 - self._rules.settled_keep_ms)
        for name in over:
            self._catalog.drop(name)
            self._conflator.drop(name)
            del self._books[name]
            del self._status_ns[name]
            self._status_now.pop(name, None)
            self._resync_ns.pop(name, None)
        return tuple(over)

    def set_trading(self, *, is_trading: bool, paused_shards: frozenset[int], now_ns: int) -> None:
        """Take whether the exchange and each shard trade."""
        self._changed(
            self._catalog.set_trading(
                is_trading=is_trading, paused_shards=paused_shards, now_ms=now_ns // 1_000_000
            )
        )

    # The feed ---------------------------------------------------------------------------------------

    def on_events(self, events: list[FeedEvent], received_mono_ns: int, now_ns: int) -> list[Effect]:
        """Apply events in order and return what to ask of the venue."""
        effects: list[Effect] = []
        books = self._books
        mark = self._conflator.mark
        count = 0
        for event in events:
            if type(event) is BookDelta:
                count += 1
                book = books.get(event.market)
                if book is None or not book.has_snapshot:
                    continue  # the snapshot on its way includes it
                whales: list[WhaleV1] = []
                try:
                    reach = book.apply(event, whales)
                    if reach:
                        mark(event.market, received_mono_ns, is_touch=reach == AT_TOUCH)
                except BookCorrupt as e:
                    self.counters["books_corrupt"] += 1
                    effects += self._withdraw((event.market,), str(e), received_mono_ns)
                if whales:
                    self._tell_whales(whales)
            elif type(event) is FeedHeard:
                self._fresh.heard(event.as_of_ms, received_mono_ns)
            else:
                count += 1
                effects += self._on_rare(event, received_mono_ns, now_ns)
        self.counters["md_messages"] += count
        return effects

    def _on_rare(self, event: FeedEvent, mono_ns: int, now_ns: int) -> list[Effect]:
        match event:
            case PublicTrade():
                self._on_trade(event)
            case BookSnapshot():
                return self._on_snapshot(event, mono_ns)
            case FeedStale():
                self.counters["gaps"] += 1
                # The session that saw the gap asks for snapshots itself.
                self._withdraw(event.markets or self.markets, event.reason, mono_ns)
            case FeedClosed():
                self._fresh.closed()
                self._withdraw(self.markets, event.reason, mono_ns)
            case Lifecycle():
                changed = self._catalog.on_lifecycle(event, now_ns // 1_000_000)
                self._changed(changed)
                if event.market and event.market not in self._catalog:
                    return [Discover(event.market)]
            case _:
                pass  # private channels are not subscribed here
        return []

    def _on_snapshot(self, event: BookSnapshot, mono_ns: int) -> list[Effect]:
        book = self._books.get(event.market)
        if book is None:
            return []
        try:
            if not book.restart(event):
                self.counters["snapshot_mismatches"] += 1
        except BookCorrupt as e:
            self.counters["books_corrupt"] += 1
            return self._withdraw((event.market,), str(e), mono_ns)
        self._conflator.mark_urgent(event.market, mono_ns)
        return []

    def _on_trade(self, event: PublicTrade) -> None:
        book = self._books.get(event.market)
        if book is None:
            return
        book.on_trade(event)
        self._outbox.append(Outgoing("md.trade", event.market, trade_message(event)))

    # Withdrawing is done at once; asking for a snapshot is held back per market, so that a book that
    # contradicts itself again and again does not become a storm of commands.
    def _withdraw(self, markets: tuple[str, ...], reason: str, mono_ns: int) -> list[Effect]:
        asked = []
        for name in markets:
            book = self._books.get(name)
            if book is None:
                continue
            book.withdraw()
            self._conflator.mark_urgent(name, mono_ns)
            if mono_ns - self._resync_ns.get(name, -self._rules.resync_ms * 1_000_000) >= (
                self._rules.resync_ms * 1_000_000
            ):
                self._resync_ns[name] = mono_ns
                asked.append(name)
        return [Resync(tuple(asked), reason)] if asked else []

    def _tell_whales(self, whales: list[WhaleV1]) -> None:
        self.counters["whales"] += len(whales)
        self._outbox += [Outgoing("md.whale", whale.market, whale) for whale in whales]

    def _changed(self, markets: list[str]) -> None:
        for name in markets:
            status = self._catalog.status(name)
            book = self._books[name]
            book.set_status(status)
            self._status_now[name] = None
            self._conflator.mark_urgent(name, 0)

    # Publishing -------------------------------------------------------------------------------------

    def overdue(self, mono_ns: int) -> list[Effect]:
        """Return requests for books that wait for a snapshot that was asked for too long ago."""
        limit_ns = 5 * self._rules.resync_ms * 1_000_000
        late = [
            name
            for name in self.stale_markets()
            if mono_ns - self._resync_ns.setdefault(name, mono_ns) > limit_ns
        ]
        for name in late:
            self._resync_ns[name] = mono_ns
        return [Resync(tuple(late), "no snapshot came")] if late else []

    def poll(self, mono_ns: int, now_ns: int) -> list[Outgoing]:
        """Return the messages due now: what markets are, then trades and whales, then books."""
        if mono_ns - self._tick_ns >= 50_000_000:
            self._tick(mono_ns, now_ns)
        out: list[Outgoing] = []
        for name in self._status_now:
            self._status_ns[name] = mono_ns
            out.append(Outgoing("md.status", name, self._books[name].status))
        self._status_now.clear()
        out += self._outbox
        self._outbox.clear()
        for due in self._conflator.due(mono_ns):
            self._append_book(out, due, mono_ns)
        return out

    def next_poll_ns(self, mono_ns: int) -> int:
        """Return the monotonic time of the next poll if no event comes before."""
        if self._outbox or self._status_now:
            return mono_ns
        return min(self._conflator.next_ns(mono_ns), self._tick_ns + 50_000_000)

    # Everything that time alone brings about.
    def _tick(self, mono_ns: int, now_ns: int) -> None:
        self._tick_ns = mono_ns
        self._changed(self._catalog.tick(now_ns // 1_000_000))
        is_silent = self._fresh.is_silent(mono_ns)
        if is_silent is not self._is_silent:
            self._is_silent = is_silent
            self.counters["silences"] += is_silent
            for name in self._books:
                self._conflator.mark_urgent(name, mono_ns)
        for name, book in self._books.items():
            if (
                mono_ns - self._status_ns[name] >= self._rules.status_ms * 1_000_000
                or not self._status_ns[name]
            ):
                self._status_ns[name] = mono_ns
                self._outbox.append(Outgoing("md.status", name, book.status))
            if (
                book.crossed_since_ms
                and self._fresh.as_of_ms - book.crossed_since_ms > self._rules.crossed_ms
            ):
                self.counters["books_corrupt"] += 1
                self._withdraw((name,), "crossed for too long", mono_ns)
                self._resync_ns[name] = 0  # `overdue` asks with its next call
            if book.has_snapshot:
                whales = book.whales.check(book.bids.total_e2, book.asks.total_e2, self._fresh.as_of_ms)
                if whales:
                    self._tell_whales(whales)

    def _append_book(self, out: list[Outgoing], due: Due, mono_ns: int) -> None:
        book = self._books[due.market]
        is_stale = self._is_silent or not book.has_snapshot
        if not is_stale:
            book.as_of_ms = max(book.as_of_ms, self._fresh.as_of_ms, book.venue_ms)
        book.sequence += 1
        message = book_message(
            book, self._siblings(due.market), self._producer, is_stale=is_stale, origin_ns=due.origin_ns
        )
        tick_ns = 0 if due.is_refresh else due.origin_ns
        out.append(Outgoing("md.book", due.market, message, tick_ns))
        self.counters["books_published"] += 1
        told = (*book.touch(), is_stale)
        # A book that changes without pause behind its touch is never refreshed; its top must be.
        is_new = mono_ns - book.told_ns < self._rules.conflation.refresh_ms * 1_000_000
        if told == book.told_touch and not due.is_refresh and is_new:
            return
        book.told_touch, book.told_ns = told, mono_ns
        self.counters["tops_published"] += 1
        out.append(Outgoing("md.top", due.market, top_message(book, self._producer, is_stale=is_stale)))

    # A sibling that is decided or not believed has no top: it then adds nothing to a joint quote.
    def _siblings(self, market: str) -> tuple[SiblingV1, ...]:
        names = self._catalog.siblings(market)
        if not names:
            return ()
        siblings = []
        for name in names:
            other = self._books[name]
            is_known = other.has_snapshot and other.status.state not in _NO_SIBLING_STATES
            siblings.append(other.sibling if is_known else SiblingV1(market=name, bid_e4=None, ask_e4=None))
        return tuple(siblings)

"""Finds out over REST which markets there are and what they are, and keeps it current.

The feed tells of most changes at once; this asks for the rest: what existed
before, what was missed while disconnected, and whether the exchange trades at
all. A failed question is asked again later; nothing here stops a book.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from libs.common.kalshi.model import ExchangeStatus, VenueEvent, VenueMarket, VenueSeries
from libs.common.kalshi.rest import VenueReader
from libs.common.messages.market import MarketState
from libs.common.runtime.clock import Clock
from libs.common.runtime.errors import VenueError, VenueRefused
from libs.common.runtime.log import EventLog
from services.marketdata.config import Config
from services.marketdata.core.feed_core import FeedCore
from services.marketdata.core.selection import choose
from services.marketdata.core.series_shelf import SeriesShelf

_NS_PER_S = 1_000_000_000
_LOOK_S_MIN = 1.0
"""Least time between two listings, whatever the feed announces."""


class Reference:
    """The venue's nouns, as far as this service follows them."""

    def __init__(
        self, reader: VenueReader, core: FeedCore, config: Config, clock: Clock, log: EventLog
    ) -> None:
        self._reader = reader
        self._core = core
        self._config = config
        self._clock = clock
        self._log = log
        self._events: dict[str, VenueEvent] = {}
        self._series = SeriesShelf(int(config.series_refresh_s * _NS_PER_S))
        self._look = asyncio.Event()
        self.failures = 0
        self.is_known = False
        """True after the first complete listing."""

    def look_soon(self) -> None:
        """List again soon: the feed spoke of a market that is not followed."""
        self._look.set()

    async def follow(self, on_new: Callable[[tuple[str, ...]], None]) -> None:
        """Keep the followed markets current; ``on_new`` hears of those to subscribe to."""
        while True:
            try:
                new = await self._refresh()
            except VenueError as e:
                self._failed("markets", e)
                await asyncio.sleep(_LOOK_S_MIN)
                continue
            self.is_known = True
            if new:
                on_new(new)
            await asyncio.sleep(_LOOK_S_MIN)
            try:
                async with asyncio.timeout(max(0.0, self._config.discovery_s - _LOOK_S_MIN)):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()

    async def watch_exchange(self) -> None:
        """Keep current whether exchange and shards trade."""
        while True:
            try:
                status = await self._reader.exchange_status()
            except VenueError as e:
                self._failed("exchange_status", e)
            else:
                self._take_status(status)
            await asyncio.sleep(self._config.exchange_status_s)

    async def _refresh(self) -> tuple[str, ...]:
        events = await self._reader.events(status="open", with_markets=True)
        for event in events:
            self._events[event.event] = event
        listed = {market.market: market for event in events for market in event.markets}
        missing = (set(self._config.selection.tickers) | set(self._core.markets)) - set(listed)
        for name in sorted(missing):
            market = await self._market(name)
            if market is not None:
                listed[name] = market
        series_of = {name: await self._series_name(market) for name, market in listed.items()}
        chosen = choose(
            [(market, series_of[name]) for name, market in listed.items()],
            self._config.selection,
            self._config.volume_e2_min,
            self._core.markets,
        )
        await self._ask_series_again({series_of[name] for name in chosen if name in series_of})
        new = []
        for name in chosen:
            found = listed.get(name)
            if found is None:
                continue
            event = self._events[found.event]
            series = await self._series_of(event.series)
            if self._core.put_market(found, event, series, self._clock.now_ns()):
                new.append(name)
        return tuple(new)

    # A market that is followed but no longer open: its end may have been missed while disconnected.
    async def _market(self, name: str) -> VenueMarket | None:
        if name in self._core.markets and self._core.book(name).status.state is MarketState.FINALIZED:
            return None
        try:
            return await self._reader.market(name)
        except VenueRefused as e:
            self._failed(f"market {name}", e)
            return None

    async def _series_name(self, market: VenueMarket) -> str:
        event = self._events.get(market.event)
        if event is None:
            event = self._events[market.event] = await self._reader.event(market.event)
        return event.series

    async def _series_of(self, name: str) -> VenueSeries:
        series = self._series.get(name)
        return await self._ask_series(name) if series is None else series

    async def _ask_series(self, name: str) -> VenueSeries:
        self._series.asked(name, self._clock.mono_ns())
        series = await self._reader.series(name)
        self._series.put(series)
        return series

    async def _ask_series_again(self, followed: set[str]) -> None:
        for name in self._series.due(followed, self._clock.mono_ns()):
            try:
                await self._ask_series(name)
            except VenueError as e:
                # The word that we have stands; the listing goes on without a new one.
                self._failed(f"series {name}", e)

    def _take_status(self, status: ExchangeStatus) -> None:
        paused = frozenset(
            shard for shard, (active, trading) in status.by_shard.items() if not (active and trading)
        )
        self._core.set_trading(
            is_trading=status.exchange_active and status.trading_active,
            paused_shards=paused,
            now_ns=self._clock.now_ns(),
        )

    def _failed(self, what: str, error: VenueError) -> None:
        self.failures += 1
        self._log.once(f"venue {what}", "VENUE_ERROR", str(error), reason=type(error).__name__, asked=what)

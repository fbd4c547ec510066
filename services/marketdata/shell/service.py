"""Marketdata as a process: one feed in, books out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec

from libs.common.bus.api import Handler, Message
from libs.common.kalshi.feed import run_feed
from libs.common.kalshi.model import FeedEvent
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.session import FeedSession
from libs.common.kalshi.signing import SignsHeaders
from libs.common.runtime.app import AppStatus, Runtime
from libs.common.runtime.log import EventLog
from services.marketdata.config import Config
from services.marketdata.core.feed_core import Discover, Effect, FeedCore, Resync
from services.marketdata.shell.publisher import Publisher
from services.marketdata.shell.reference import Reference

CHANNELS: Final = ("orderbook_delta", "trade", "market_lifecycle_v2")
_HOUSEKEEPING_S: Final = 1.0
_HARMLESS_FAULTS: Final = frozenset({"gap", "before_snapshot", "retired"})


_EVENT_OF_NOTE: Final = {"feed_connected": "FEED_CONNECTED", "feed_closed": "FEED_DISCONNECTED"}


class _Notes:
    """Gives what the feed tells the names of our log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def event(self, event_type: str, message: str = "", *, level: str = "INFO", **fields: object) -> None:
        """Log one note."""
        self._log.event(
            _EVENT_OF_NOTE.get(event_type, event_type), message, level=level, error=None, **fields
        )


class MarketdataApp:
    """The running service."""

    def __init__(
        self, runtime: Runtime[Config], core: FeedCore, reader: VenueReader, signer: SignsHeaders
    ) -> None:
        self._runtime = runtime
        self._signer = signer
        self._clock = runtime.clock
        self._core = core
        self._session = FeedSession(CHANNELS)
        self._publisher = Publisher(self._core, runtime.bus, runtime.subjects, runtime.clock)
        self._reference = Reference(reader, self._core, runtime.config, runtime.clock, runtime.log)
        self._wake = asyncio.Event()

    @property
    def endpoints(self) -> Mapping[str, Handler]:
        """Return ``markets``: what is followed and how each book stands."""
        return {"markets": self._answer_markets}

    async def run(self) -> None:
        """Follow the venue until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reference.follow(self._subscribe), name="reference")
            group.create_task(self._reference.watch_exchange(), name="exchange-status")
            group.create_task(self._publisher.run(), name="publisher")
            group.create_task(self._keep_house(), name="housekeeping")
            group.create_task(
                run_feed(
                    self._runtime.config.venue.ws_url,
                    self._signer,
                    self._session,
                    self._on_events,
                    self._clock,
                    notes=_Notes(self._runtime.log),
                    silence_s=self._runtime.config.market_silence_s,
                    wake=self._wake,
                ),
                name="feed",
            )

    async def stop(self, reason: str) -> None:
        """Do nothing: consumers see the silence as age, which is what it is."""
        del reason

    def status(self) -> AppStatus:
        """Return counters and whether the books can be believed."""
        core, faults = self._core, self._session.faults
        waiting = core.stale_markets()
        reasons = []
        if not self._reference.is_known:
            reasons.append("markets_not_listed")
        if core.is_silent:
            reasons.append("feed_silent")
        if waiting:
            reasons.append(f"{len(waiting)}_books_wait_for_a_snapshot")
        is_ready = self._reference.is_known and not core.is_silent
        if not self._reference.is_known:
            state = "starting"
        else:
            state = "running" if is_ready and not waiting else "stale"
        return AppStatus(
            is_ready=is_ready,
            state=state,
            reasons=tuple(reasons),
            counters={
                "md_messages": 0,
                "books_published": 0,
                "tops_published": 0,
                "gaps": 0,
                "books_corrupt": 0,
                "snapshot_mismatches": 0,
                "whales": 0,
                **core.counters,
                "malformed": sum(count for kind, count in faults.items() if kind not in _HARMLESS_FAULTS),
                "publish_failed": self._publisher.failed,
                "venue_failures": self._reference.failures,
            },
            gauges={
                "markets": len(core.markets),
                "books_waiting": len(waiting),
                "as_of_ms": core.as_of_ms,
                **self._publisher.tick_to_book.gauges("tick_to_book"),
            },
        )

    async def _on_events(self, events: list[FeedEvent], received_mono_ns: int) -> None:
        self._perform(self._core.on_events(events, received_mono_ns, self._clock.now_ns()))
        await self._publisher.publish_due()

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Resync(markets, reason):
                    self._runtime.log.once(
                        "resync",
                        "BOOK_CORRUPT",
                        "books dropped, snapshots asked for",
                        reason=reason,
                        markets=markets[:5],
                    )
                    # Leaving and joining brings a snapshot whatever the venue thinks we know.
                    self._session.remove_markets(markets)
                    self._session.add_markets(markets)
                    self._wake.set()
                case Discover():
                    self._reference.look_soon()

    def _subscribe(self, markets: tuple[str, ...]) -> None:
        self._session.add_markets(markets)
        self._wake.set()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            over = self._core.drop_settled(self._clock.now_ns())
            if over:
                self._session.remove_markets(over)
                self._wake.set()
            self._perform(self._core.overdue(self._clock.mono_ns()))

    async def _answer_markets(self, message: Message) -> None:
        markets = {}
        for name in self._core.markets:
            book = self._core.book(name)
            bid_e4, bid_e2, ask_e4, ask_e2 = book.touch()
            markets[name] = {
                "state": book.status.state.value,
                "has_snapshot": book.has_snapshot,
                "as_of_ms": book.as_of_ms,
                "sequence": book.sequence,
                "bid": [bid_e4, bid_e2],
                "ask": [ask_e4, ask_e2],
            }
        await self._runtime.bus.respond(message, msgspec.json.encode(markets))

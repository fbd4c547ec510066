"""The simulated venue as the world sees it: real core, real REST face, real feed hub, no sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from libs.common.kalshi.session import FeedSession
from services.simexchange.core.channels import Hub
from services.simexchange.core.events import Event
from services.simexchange.core.fifo_book import FifoBook
from services.simexchange.core.markets import EventSpec, MarketSpec, SeriesSpec
from services.simexchange.core.orders import TimeInForce
from services.simexchange.core.requests import CreateRequest
from services.simexchange.core.subscriptions import Session
from services.simexchange.core.venue import Venue
from services.simexchange.shell.auth import Key, KeyRing
from services.simexchange.shell.rest import RestFace
from tests.faults.line import Asked, Door, Wire
from tests.faults.loop import VirtualLoop
from tests.faults.machine import KEY_ID, WorldClock
from tests.faults.process import Fate, Kind, Process

MS: Final = 1_000_000
ACCOUNT: Final = "main"
OUTSIDER: Final = "outsider"
READ_LAG_NS: Final = 25 * MS
CREATE: Final = "POST /portfolio/events/orders"
A, B, C = "ONE-E-A", "ONE-E-B", "TWO-F-C"
SHARDS: Final = {A: 0, B: 0, C: 2}
EVENTS: Final = {A: "ONE-E", B: "ONE-E", C: "TWO-F"}


class Exchange:
    """The venue, an outsider who trades with us, and the lines to it.

    Attributes:
        on_create: Done once, when the next create has just been accepted and before it is answered.
        creates_to_cut: So many answers to creates are lost on their way.
        on_events: Told everything that the venue does, before anybody else.
    """

    def __init__(self, loop: VirtualLoop, clock: WorldClock, seed: int) -> None:
        self._loop = loop
        self._clock = clock
        now_ns = clock.now_ns()
        self.venue = Venue(chance=random.Random(seed), seed=seed, read_lag_ns=READ_LAG_NS)
        for name in (ACCOUNT, OUTSIDER):
            cash = {0: 1_000_000_000, 2: 1_000_000_000}
            self.venue.add_account(name, tier="prestige", cash_by_shard=cash, now_ns=now_ns)
        self._list_markets(now_ns)
        ring = KeyRing()
        ring.keys[KEY_ID] = Key(KEY_ID, ACCOUNT, lambda _s, _m: None, frozenset(("read", "write")))
        self.hub = Hub(self.venue)
        self._door = Door(RestFace(self.venue, ring, clock, self.pump))
        self._door.is_cut = self._is_cut
        self._lines: list[tuple[Process, Session, asyncio.Queue[bytes]]] = []
        self.on_create: list[Callable[[], None]] = []
        self.creates_to_cut = 0
        self.on_events: Callable[[list[Event], int], None] = lambda _events, _now_ns: None

    async def open_line(self, process: Process, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Open an HTTP connection."""
        line = Wire(process, protocol, self._door)
        await process.turn(lambda: None, "connect")
        protocol.connection_made(line)
        return line

    def open_feed(self, process: Process) -> tuple[Session, asyncio.Queue[bytes]]:
        """Open a private feed."""
        session = self.hub.open(ACCOUNT)
        inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._lines.append((process, session, inbox))
        return session, inbox

    def forget(self, process: Process) -> None:
        """Close the feeds of a process that ended."""
        self._lines = [line for line in self._lines if line[0] is not process]

    def pump(self) -> None:
        """Tell everybody what the venue has done."""
        events = self.venue.drain()
        if not events:
            return
        now_ns = self._clock.now_ns()
        self.on_events(events, now_ns)
        self.hub.publish(events, now_ns // MS)
        for process, session, inbox in self._lines:
            self._carry_all(process, session, inbox)

    def command(
        self, process: Process, session: Session, inbox: asyncio.Queue[bytes], commands: list[bytes]
    ) -> None:
        """Do what a feed's client asks."""
        self.pump()
        for command in commands:
            self.hub.receive(session, command, self._clock.now_ns() // MS)
        self._carry_all(process, session, inbox)

    def take(self, market: str, side: Side, qty_e2: int) -> None:
        """Let the outsider cross with whatever rests on the other side."""
        price_e4 = 9_900 if side is Side.BID else 100
        request = CreateRequest(market, side, price_e4, qty_e2, tif=TimeInForce.IMMEDIATE_OR_CANCEL)
        self.venue.create(OUTSIDER, request, self._clock.now_ns())
        self.pump()

    def take_anything(self) -> None:
        """Let the outsider take one contract of the first order of ours that rests."""
        for market, orders in self.venue.accounts[ACCOUNT].resting.items():
            if orders:
                self.take(market, next(iter(orders.values())).side.opposite, 100)
                return

    @property
    def resting(self) -> int:
        """Return how many orders of ours rest."""
        return sum(len(orders) for orders in self.venue.accounts[ACCOUNT].resting.values())

    def _carry_all(self, process: Process, session: Session, inbox: asyncio.Queue[bytes]) -> None:
        for frame in session.out:
            self._loop.in_world(
                self._loop.weather.feed_ns, partial(process.hear, partial(inbox.put_nowait, frame))
            )
        session.out.clear()

    def _is_cut(self, asked: Asked) -> bool:
        if not " ".join(asked).startswith(CREATE) or asked[1].endswith(("/amend", "/decrease")):
            return False
        acts, self.on_create = self.on_create, []
        for act in acts:
            act()
        self.creates_to_cut -= 1
        return self.creates_to_cut >= 0

    def _list_markets(self, now_ns: int) -> None:
        cents = grid_of_steps((0, 10_000, 100))
        for market, event in EVENTS.items():
            series = event.partition("-")[0]
            if series not in self.venue.floor.series:
                self.venue.add_series(SeriesSpec(series, series, shard=SHARDS[market]))
                self.venue.add_event(EventSpec(event, series, event, shard=SHARDS[market]), now_ns)
            spec = MarketSpec(market, event, market, cents, now_ns, now_ns + 86_400 * 1_000 * MS)
            self.venue.add_market(spec, FifoBook(), now_ns)


async def run_feed(
    exchange: Exchange,
    process: Process,
    session: FeedSession,
    on_events: Callable[[Any, int], Any],
    clock: Any,
) -> None:
    """Run a private feed's real session on frames of the venue's real hub."""
    line, inbox = exchange.open_feed(process)
    say = partial(exchange.command, process, line, inbox)
    await process.turn(partial(say, session.open()), "feed subscribe")
    while True:
        frame = await inbox.get()
        now_ns = clock.mono_ns()
        events = session.receive(frame, now_ns)
        if events:
            told = on_events(events, now_ns)
            if told is not None:
                await told
        if session.has_commands:
            process.leave(
                Kind.READ, "feed command", partial(_send, process, partial(say, session.commands()))
            )


def _send(process: Process, act: Callable[[], None], _: Fate) -> None:
    process.loop.in_world(process.loop.weather.feed_ns, act)

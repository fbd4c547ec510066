"""Keep a feed session connected: sign, connect, read in order, heal by connecting again.

The shell around `session.py`. It decides nothing about content: bytes go in,
events come out in the order received, and every end of a connection is told as
`FeedClosed`, because the venue forgets all subscriptions with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

import websockets
from websockets.asyncio.client import ClientConnection, connect

from libs.common.kalshi.model import FeedEvent
from libs.common.kalshi.session import FRAME_LENGTH_MAX
from libs.common.kalshi.signing import SignsHeaders
from libs.common.runtime.clock import Clock

BACKOFF_S_MIN: Final = 0.1
BACKOFF_S_MAX: Final = 5.0
SILENCE_S: Final = 30.0
TICK_S: Final = 0.25
_TURN_NS: Final = 2_000_000
OPEN_S: Final = 10.0
QUEUE_FRAMES: Final = 4_096
"""Frames read ahead of the consumer; beyond that the venue's own buffer fills, and it tells (code 25)."""
STEADY_S: Final = 10.0
"""A connection that lived so long was good: the next back-off starts anew."""

OnEvents = Callable[[list[FeedEvent], int], Awaitable[None] | None]
"""Takes the events of one frame and the monotonic nanoseconds at which it arrived."""


class Session(Protocol):
    """What one connection says and asks; `FeedSession` and the reconciler's own reader fit."""

    @property
    def failure(self) -> str | None:
        """Return why the connection is of no more use, if it is."""
        ...

    @property
    def faults(self) -> Mapping[str, int]:
        """Return how many frames said nothing, by kind."""
        ...

    @property
    def has_commands(self) -> bool:
        """Return whether `commands` would return any."""
        ...

    def add_markets(self, markets: Iterable[str]) -> None:
        """Want more markets."""
        ...

    def open(self) -> list[bytes]:
        """Begin on a new connection and return the first commands."""
        ...

    def commands(self) -> list[bytes]:
        """Return and forget the commands that are to be sent."""
        ...

    def receive(self, frame: bytes | str, now_ns: int) -> list[FeedEvent]:
        """Return what a frame says."""
        ...

    def tick(self, now_ns: int) -> None:
        """Notice silence; called a few times a second."""
        ...

    def close(self, reason: str) -> list[FeedEvent]:
        """End the connection."""
        ...


class FeedNotes(Protocol):
    """Where the shell tells what happens to the connection; an `EventLog` fits."""

    def event(self, event_type: str, message: str = "", *, level: str = "INFO", **fields: object) -> None:
        """Note one event."""
        ...


async def run_feed(
    ws_url: str,
    signer: SignsHeaders,
    session: Session,
    on_events: OnEvents,
    clock: Clock,
    *,
    markets: Iterable[str] | None = None,
    notes: FeedNotes | None = None,
    silence_s: float = SILENCE_S,
    wake: asyncio.Event | None = None,
    jitter: Callable[[], float] = random.random,
) -> None:
    """Run until cancelled, connecting again whenever the connection ends.

    What `on_events` raises ends the feed and is raised from here.

    Args:
        ws_url: ``wss://…/trade-api/ws/v2``.
        signer: Signs the upgrade request, anew for every attempt.
        session: Keeps its wanted markets over reconnects; the caller may add and remove at any time.
        on_events: Called in the order received; a coroutine is awaited before the next frame is taken.
        clock: Stamps signatures and arrivals.
        markets: Wanted from the start; None leaves the session's own.
        notes: Told about connects and ends.
        silence_s: A connection that says nothing for so long is dead.
        wake: Set it after changing the session's markets, so that commands leave at once and not with
            the next tick.
        jitter: Spreads the back-off; a number of 0 to 1.
    """
    if markets is not None:
        session.add_markets(markets)
    backoff_s = BACKOFF_S_MIN
    while True:
        began_ns = clock.mono_ns()
        try:
            async with _connect(ws_url, signer, clock, silence_s) as connection:
                if notes is not None:
                    notes.event("feed_connected", ws_url)
                feed = _Connection(connection, session, on_events, clock, silence_s, wake)
                reason = await feed.serve()
        except websockets.InvalidStatus as e:
            reason = f"upgrade refused with {e.response.status_code}"
        except (OSError, TimeoutError, websockets.WebSocketException) as e:
            reason = f"{type(e).__name__}: {e}"[:200]
        await _tell(on_events, session.close(reason), clock.mono_ns())
        if notes is not None:
            notes.event("feed_closed", reason, level="WARNING", faults=dict(session.faults))
        if clock.mono_ns() - began_ns > STEADY_S * 1e9:
            backoff_s = BACKOFF_S_MIN
        await asyncio.sleep(backoff_s * (0.5 + 0.5 * jitter()))
        backoff_s = min(backoff_s * 2, BACKOFF_S_MAX)


class _Connection:
    """One open connection: a reader that keeps the order, and a tender that keeps it alive."""

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        connection: ClientConnection,
        session: Session,
        on_events: OnEvents,
        clock: Clock,
        silence_s: float,
        wake: asyncio.Event | None,
    ) -> None:
        self._connection = connection
        self._session = session
        self._on_events = on_events
        self._clock = clock
        self._silence_ns = int(silence_s * 1e9)
        self._wake = wake or asyncio.Event()
        self._heard_ns = clock.mono_ns()
        self._end = ""

    async def serve(self) -> str:
        """Serve until the connection ends, and return why."""
        async with asyncio.TaskGroup() as group:
            tending = group.create_task(self._tend(), name="feed-tend")
            group.create_task(self._read(tending), name="feed-read")
        return self._end

    async def _read(self, tending: asyncio.Task[None]) -> None:
        session, yielded_ns = self._session, 0
        try:
            await self._send(session.open())
            while session.failure is None:
                frame = await self._connection.recv(decode=False)
                self._heard_ns = now_ns = self._clock.mono_ns()
                events = session.receive(frame, now_ns)
                if events:
                    await _tell(self._on_events, events, now_ns)
                if session.has_commands:
                    await self._send(session.commands())
                if now_ns - yielded_ns > _TURN_NS:
                    # Frames that are here already come without a pause: a halt that ends five thousand
                    # orders must not keep the answers to its own requests waiting behind them.
                    await asyncio.sleep(0)
                    yielded_ns = now_ns
            self._end = self._end or session.failure
        except websockets.ConnectionClosed as e:
            self._end = self._end or f"connection closed: {e.rcvd or 'without a close frame'}"
        finally:
            tending.cancel()

    async def _tend(self) -> None:
        while not self._end:
            try:
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
                self._wake.clear()
            except TimeoutError:
                pass
            now_ns = self._clock.mono_ns()
            self._session.tick(now_ns)
            if self._session.failure is not None:
                self._end = self._session.failure
            elif now_ns - self._heard_ns > self._silence_ns:
                self._end = "silent"
            elif self._session.has_commands:
                await self._send(self._session.commands())
        # Wakes the reader, which waits for a frame that may never come.
        self._connection.transport.abort()

    async def _send(self, commands: list[bytes]) -> None:
        # A connection that just closed shows in the reader; one place decides.
        with contextlib.suppress(websockets.ConnectionClosed):
            for command in commands:
                await self._connection.send(command.decode())


def _connect(ws_url: str, signer: SignsHeaders, clock: Clock, silence_s: float) -> connect:
    return connect(
        ws_url,
        additional_headers=signer.headers("GET", urlsplit(ws_url).path, clock.now_ns() // 1_000_000),
        compression=None,
        max_size=FRAME_LENGTH_MAX * 2,  # above the session's bound, which counts and keeps the connection
        max_queue=QUEUE_FRAMES,
        open_timeout=OPEN_S,
        ping_interval=10.0,
        ping_timeout=silence_s,
        close_timeout=1.0,
        user_agent_header="dora",
        proxy=None,
    )


async def _tell(on_events: OnEvents, events: list[FeedEvent], now_ns: int) -> None:
    told = on_events(events, now_ns)
    if told is not None:
        await told

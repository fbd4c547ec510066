"""Drives the venue through time: due events of the sources, reminders, messages out.

One task on the loop. Work is done in slices of half a millisecond with a turn
of the event loop between them, so an order that arrives while a burst plays is
answered between two slices. Messages leave after every slice. Where a reader
is behind, the player waits for it: a simulated exchange need not drown anybody
who merely shares its machine, and the tape's clock gives way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from libs.common.runtime.clock import Clock
from services.simexchange.core.venue import Venue
from services.simexchange.shell.ws import WebSocketFace

SLICE_NS: Final = 500_000
REST_S: Final = 0.001
"""Shortest rest when nothing is due: shorter ones cost more than they play."""
SCHEDULE_NS: Final = 5_000_000
IDLE_S: Final = 0.005
"""Nothing due: look again this soon, since an order may have set a nearer reminder."""
CHECK_EVERY: Final = 8


class Source(Protocol):
    """A source of liquidity with its own schedule; times are Unix nanoseconds."""

    def next_ns(self) -> int | None:
        """Return when it next has something to do, or None if never again."""
        ...

    def play_next(self, now_ns: int) -> None:
        """Do the next thing."""
        ...

    def keep_schedule(self, now_ns: int) -> None:
        """Adjust what depends on being late; called before the venue's time moves on."""
        ...

    def progress(self, now_ns: int) -> Mapping[str, object]:
        """Return position and counts."""
        ...


class Player:
    """See the module."""

    def __init__(self, venue: Venue, face: WebSocketFace, clock: Clock, sources: Sequence[Source]) -> None:
        self._venue = venue
        self._face = face
        self._clock = clock
        self._sources = tuple(sources)
        self._schedule_ns = 0
        self.events_played = 0

    async def run(self) -> None:
        """Play until cancelled."""
        while True:  # noqa: ASYNC110 - this is pacing; there is no one to set an event
            await asyncio.sleep(self.step())

    def step(self) -> float:
        """Work for one slice and return how long to rest, in seconds."""
        now_ns = self._clock.now_ns()
        if now_ns >= self._schedule_ns:
            self._schedule_ns = now_ns + SCHEDULE_NS
            for source in self._sources:
                source.keep_schedule(now_ns)
        self._venue.advance(now_ns)
        is_late = False
        next_ns: int | None = None
        if not self._face.is_behind():
            end_ns = self._clock.mono_ns() + SLICE_NS
            for source in self._sources:
                is_late |= self._play(source, now_ns, end_ns)
                due_ns = source.next_ns()
                if due_ns is not None and (next_ns is None or due_ns < next_ns):
                    next_ns = due_ns
        self._face.pump()
        if is_late:
            return 0.0
        if next_ns is None:
            return IDLE_S
        return min(IDLE_S, max(REST_S, (next_ns - self._clock.now_ns()) / 1e9))

    def progress(self) -> Mapping[str, object]:
        """Return the sources' progress and the connections', for ``GET /sim/progress``."""
        now_ns = self._clock.now_ns()
        return {
            "now_ms": now_ns // 1_000_000,
            "connections": self._face.connections,
            "frames_sent": self._face.frames_sent,
            "overflows": self._face.overflows,
            "residual_e6": self._venue.residual_e6(),
            "sources": [dict(source.progress(now_ns)) for source in self._sources],
        }

    def _play(self, source: Source, now_ns: int, end_ns: int) -> bool:
        """Play what is due until the slice is over; return whether something due is left."""
        count = 0
        while (due_ns := source.next_ns()) is not None and due_ns <= now_ns:
            source.play_next(now_ns)
            self.events_played += 1
            count += 1
            if count % CHECK_EVERY == 0:
                now_ns = self._clock.now_ns()
                if self._clock.mono_ns() >= end_ns:
                    return True
        return False

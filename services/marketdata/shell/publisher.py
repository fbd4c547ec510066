"""Sends what the core says is due, in the core's order, now or at the time it names.

Events call `publish_due` and whatever the pace allows leaves at once; the rest
waits for a timer. One lock keeps the order of a market's books.
"""

from __future__ import annotations

import asyncio

from libs.common.bus.api import Bus, BusUnavailable
from libs.common.domain.latency import Latencies
from libs.common.messages.base import encode
from libs.common.runtime.clock import Clock
from libs.common.subjects import Subjects
from services.marketdata.core.feed_core import FeedCore

_IDLE_NS = 1_000_000_000


class Publisher:
    """The way from the core to the bus."""

    def __init__(self, core: FeedCore, bus: Bus, subjects: Subjects, clock: Clock) -> None:
        self._core = core
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._by_key: dict[tuple[str, str], str] = {}
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self.failed = 0
        self.tick_to_book = Latencies()
        """From the frame's arrival to its book on the bus."""

    async def run(self) -> None:
        """Publish what falls due by time, until cancelled."""
        try:
            while True:
                self._wake.clear()
                await self.publish_due()
                await self._wake.wait()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def publish_due(self) -> None:
        """Publish what is due now and set the timer for the rest."""
        async with self._lock:
            mono_ns = self._clock.mono_ns()
            outgoing = self._core.poll(mono_ns, self._clock.now_ns())
            for item in outgoing:
                key = (item.family, item.market)
                subject = self._by_key.get(key)
                if subject is None:
                    subject = self._by_key[key] = self._subjects.of(item.family, item.market)
                try:
                    await self._bus.publish(subject, encode(item.message))
                    if item.tick_ns:
                        self.tick_to_book.add((self._clock.mono_ns() - item.tick_ns) // 1_000)
                except BusUnavailable:
                    # The next refresh brings the whole state; nothing is repeated from the past.
                    self.failed += 1
        self._set_timer(mono_ns)
        if outgoing:
            # A reader that always finds a frame never yields: let the bus client write.
            await asyncio.sleep(0)

    def _set_timer(self, mono_ns: int) -> None:
        next_ns = min(self._core.next_poll_ns(mono_ns), mono_ns + _IDLE_NS)
        if self._timer is not None:
            if mono_ns < self._timer_ns <= next_ns:
                return
            self._timer.cancel()
        self._timer_ns = next_ns
        delay_s = max(0, next_ns - mono_ns) / 1e9
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake.set)

"""Ask the venue now and then how much rests before our orders; one read for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from libs.common.kalshi.rest import VenueReader
from libs.common.runtime.errors import VenueError
from services.executor.core.account import Now
from services.executor.core.engine import Engine


class QueuePolls:
    """Corrects the places that we reckon."""

    def __init__(
        self, *, engine: Engine, reader: VenueReader, now: Callable[[], Now], every_s: float, lag_s: float
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._now = now
        self._every_s = every_s
        self._lag_ns = int(lag_s * 1e9)
        self.failures = 0

    async def run(self) -> NoReturn:
        """Ask for ever."""
        while True:
            await asyncio.sleep(self._every_s)
            if self._engine.quoter.rules.place_value_e4 and self._engine.account.gate.is_recovered:
                await self.look()

    async def look(self) -> None:
        """Ask once; a place that nobody tells stays as it was reckoned."""
        account = self._engine.account
        markets = sorted(account.orders.markets())
        if not markets:
            return
        began_ns = self._now().ns
        try:
            ahead_e2 = await self._reader.queue_positions(markets)
        except VenueError:
            self.failures += 1
            return
        account.places.on_read(account.orders.live(), ahead_e2, began_ns, self._lag_ns)
        account.counters["queue_positions_read"] += len(ahead_e2)

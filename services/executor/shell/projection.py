"""Write orders and positions to Redis for whoever likes to look; nothing depends on it.

Losing Redis loses nothing (design rule 11): a failure is counted and the next write is
whole again.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

import msgspec
import redis.asyncio
import redis.exceptions

from libs.common.messages.open_orders import open_orders
from libs.common.observability.metrics import Metrics
from libs.common.runtime.clock import Clock, SystemClock
from libs.common.runtime.log import EventLog
from services.executor.core.engine import Engine

_EVERY_S = 1.0


class Projection:
    """One task that writes the whole state every second."""

    def __init__(
        self,
        *,
        url: str,
        root: str,
        engine: Engine,
        metrics: Metrics,
        log: EventLog,
        clock: Clock | None = None,
    ) -> None:
        self._client = redis.asyncio.from_url(url, socket_timeout=1.0) if url else None
        self._root = root
        self._engine = engine
        self._metrics = metrics
        self._log = log
        self._clock = clock or SystemClock()

    async def run(self) -> NoReturn:
        """Write for ever; without an address there is nothing to do."""
        while True:
            await asyncio.sleep(_EVERY_S)
            if self._client is not None:
                await self._write()

    async def _write(self) -> None:
        assert self._client is not None, "an address"
        account = self._engine.account
        live = [order.message(account.name, account.wall_offset_ns) for order in account.orders.live()]
        orders = open_orders(live, self._clock.now_ns())
        try:
            await self._client.set(f"{self._root}.open_orders", msgspec.json.encode(orders))
            positions = {
                market: account.positions.qty_e2(market) for market in account.positions.open_markets
            }
            await self._client.set(f"{self._root}.positions", msgspec.json.encode(positions))
        except (redis.exceptions.RedisError, OSError) as e:
            self._metrics.count("projection_errors_total")
            self._log.once(type(e).__name__, "PROJECTION_ERROR", str(e))

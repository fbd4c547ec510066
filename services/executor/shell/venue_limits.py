"""Read what the account may spend, at the start and again: tiers are granted and taken while we run.

While the venue does not tell, the executor works with what any account has (B-025).
A read changes rates and sizes; it never refills a bucket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NoReturn

from libs.common.kalshi.budget import UNKNOWN_COSTS, UNKNOWN_LIMITS, TokenBuckets
from libs.common.kalshi.model import AccountLimits, EndpointCosts
from libs.common.kalshi.rest import VenueReader
from libs.common.runtime.errors import VenueError
from services.executor.core.account import Now
from services.executor.core.effects import Effect, Log

EVERY_S: Final = 60.0
WHILE_UNKNOWN_S: Final = 5.0
AFTER_REFUSAL_S: Final = 1.0
"""Soon after a refusal that nobody expected, but never once for each of them."""


async def read_limits(reader: VenueReader) -> tuple[AccountLimits, EndpointCosts]:
    """Return the account's limits and the venue's prices, or what is assumed while nobody tells."""
    try:
        limits, costs = await reader.limits(), await reader.endpoint_costs()
    except VenueError:
        return UNKNOWN_LIMITS, UNKNOWN_COSTS
    reader.use_limits(limits, costs)
    return limits, costs


class VenueLimits:
    """Keeps the mirror's terms those of the venue."""

    def __init__(
        self,
        *,
        reader: VenueReader,
        buckets: TokenBuckets,
        now: Callable[[], Now],
        perform: Callable[[list[Effect]], None],
    ) -> None:
        self._reader = reader
        self._buckets = buckets
        self._now = now
        self._perform = perform
        self._soon = asyncio.Event()

    def soon(self) -> None:
        """Read again: the venue refused what our mirror thought was paid for."""
        self._soon.set()

    async def run(self) -> NoReturn:
        """Read for ever."""
        while True:
            is_known = self._buckets.limits is not UNKNOWN_LIMITS
            try:
                async with asyncio.timeout(EVERY_S if is_known else WHILE_UNKNOWN_S):
                    await self._soon.wait()
                await asyncio.sleep(AFTER_REFUSAL_S)
            except TimeoutError:
                pass
            self._soon.clear()
            await self.look()

    async def look(self) -> None:
        """Read once."""
        try:
            limits, costs = await self._reader.limits(), await self._reader.endpoint_costs()
        except VenueError as e:
            self._perform([Log("VENUE_ERROR", f"account limits not read: {e}", "WARNING")])
            return
        was = self._buckets.limits
        if self._buckets.change(limits, costs, self._now().ns):
            fields = {
                "tier": limits.tier,
                "write_per_s": limits.write.refill_per_s,
                "write_capacity": limits.write.capacity,
            }
            self._perform([Log("BUDGET_LIMITS", fields=fields)])
        if limits.read != was.read or was is UNKNOWN_LIMITS:
            self._reader.use_limits(limits, costs)

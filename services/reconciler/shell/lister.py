"""Read the venue once: orders, positions, balance, settlements, and the fills last.

Fills come last so that they contain whatever positions and balance already show;
the comparison explains the rest by the youngest of them.
"""

from __future__ import annotations

from libs.common.kalshi.rest import VenueReader
from libs.common.runtime.clock import Clock
from services.reconciler.core.listing_view import Listing

_MS = 1_000_000


class Lister:
    """One account's listings, by a read key of its own."""

    def __init__(self, reader: VenueReader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._has_limits = False

    async def read(self, fills_from_ms: int | None) -> Listing:
        """Return one reading.

        Raises:
            VenueError: Any part could not be read; half a reading is none.
        """
        if not self._has_limits:
            self._reader.use_limits(await self._reader.limits(), await self._reader.endpoint_costs())
            self._has_limits = True
        started_ns, started_ms = self._clock.mono_ns(), self._clock.now_ns() // _MS
        min_ts = None if fills_from_ms is None else fills_from_ms // 1_000
        orders = await self._reader.orders(status="resting")
        positions = await self._reader.positions()
        balance = await self._reader.balance()
        settlements = await self._reader.settlements()
        fills = await self._reader.fills(min_ts)
        return Listing(
            started_ms=started_ms,
            started_ns=started_ns,
            orders=tuple(orders),
            fills=tuple(fills),
            positions=tuple(positions),
            settlements=tuple(settlements),
            balance=balance,
        )

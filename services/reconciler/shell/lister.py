"""Read the venue once: orders, positions, balance, settlements, and the fills last.

Fills come last so that they contain whatever positions and balance already show;
the comparison explains the rest by the youngest of them.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

from libs.common.kalshi.model import VenueBalance
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.restricted import allowed
from libs.common.runtime.clock import Clock
from libs.common.runtime.errors import VenueUnavailable
from services.reconciler.core.listing_view import Listing

T = TypeVar("T")

_MS = 1_000_000
"""A key that is locked to one subaccount, or a venue without the endpoint."""


class Lister:
    """One account's listings, by a read key of its own."""

    def __init__(self, reader: VenueReader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._has_limits = False

    async def read(self, fills_from_ms: int | None, balance_wait_ms: int) -> Listing:
        """Return one reading.

        Args:
            fills_from_ms: Fills since this venue time; None for all.
            balance_wait_ms: How long the balance may take; it has a bucket of its own, which the account's
                other services use too, and a reading without it still tells the rest.

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
        balance = await self._balance(balance_wait_ms)
        settlements = await self._reader.settlements()
        untold: list[str] = []
        transfers = await allowed(self._reader.transfers(), "transfers", untold)
        deposits = await allowed(self._reader.deposits(), "deposits", untold)
        withdrawals = await allowed(self._reader.withdrawals(), "withdrawals", untold)
        fills = await self._reader.fills(min_ts)
        return Listing(
            started_ms=started_ms,
            started_ns=started_ns,
            orders=tuple(orders),
            fills=tuple(fills),
            positions=tuple(positions),
            settlements=tuple(settlements),
            balance=balance,
            transfers=tuple(transfers),
            fundings=(*deposits, *withdrawals),
            untold=tuple(untold),
        )

    async def _balance(self, wait_ms: int) -> VenueBalance | None:
        try:
            async with asyncio.timeout(wait_ms / 1_000):
                return await self._reader.balance()
        except (TimeoutError, VenueUnavailable):
            return None

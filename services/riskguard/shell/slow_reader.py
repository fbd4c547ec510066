"""Reads what changes within days: keys, tier, fees, schedule, and the files and the disk beside us.

Over connections and a budget of its own: no listing and no cancel ever waits behind it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

from libs.common.kalshi.model import AccountLimits
from libs.common.kalshi.rest import VenueReader
from libs.common.runtime.clock import Clock
from libs.common.runtime.errors import VenueError
from services.riskguard.core.slow.readings import (
    DiskRead,
    EventFees,
    FeesRead,
    FilesRead,
    KeysRead,
    ScheduleRead,
    SlowRead,
    TierRead,
    Unread,
)
from services.riskguard.core.slow.view import can_move

_MS = 1_000_000
_REASON_CHARS = 300


class SlowReader:
    """One account's terms, one host's files.

    Args:
        reader: Its own.
        key_id: Our key at the venue.
        files: Credentials by name.
        folder: Where our state lies.
        on_limits: Hears what the account may ask for, when that is something else than before.
        clock: The wall.
    """

    def __init__(  # noqa: PLR0917 - wired in one place
        self,
        reader: VenueReader,
        key_id: str,
        files: Mapping[str, Path],
        folder: Path,
        on_limits: Callable[[AccountLimits], None],
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._key_id = key_id
        self._files = files
        self._folder = folder
        self._on_limits = on_limits
        self._clock = clock
        self._limits: AccountLimits | None = None

    async def terms(self) -> AsyncIterator[SlowRead]:
        """Yield one reading of each thing that the venue tells, or that there is none."""
        reads: dict[str, Callable[[], Awaitable[SlowRead]]] = {
            "keys": self._keys,
            "tier": self._tier,
            "fees": self._fees,
            "schedule": self._schedule,
        }
        for kind, read in reads.items():
            yield await _tried(kind, read)

    async def event_fees(self, events: tuple[str, ...]) -> AsyncIterator[SlowRead]:
        """Yield the venue's own word about the fees of each event."""
        for event in events:

            async def read(event: str = event) -> SlowRead:
                return await self._event_fees(event)

            yield await _tried("event_fees", read)

    async def host(self) -> AsyncIterator[SlowRead]:
        """Yield a look at the credentials' files and at the disk; in a thread, which a dead disk may hold."""
        yield await asyncio.to_thread(self._written)
        yield await asyncio.to_thread(self._disk)

    async def _keys(self) -> KeysRead:
        keys = await self._reader.api_keys()
        ours = next((key.scopes for key in keys.keys if key.key_id == self._key_id), None)
        movers = sum(key.key_id != self._key_id and can_move(key.scopes) for key in keys.keys)
        return KeysRead(ours, movers, keys.region_expires_ms)

    async def _tier(self) -> TierRead:
        was, limits = self._limits, await self._reader.limits()
        self._limits = limits
        if limits != was:
            self._reader.use_limits(limits)
        # Who reads listings asked for the first ones itself; told again, it would begin with an empty bucket.
        if was is not None and (limits.read, limits.write) != (was.read, was.write):
            self._on_limits(limits)
        return TierRead(limits)

    async def _fees(self) -> FeesRead:
        return FeesRead(tuple(await self._reader.fee_changes()))

    async def _schedule(self) -> ScheduleRead:
        return ScheduleRead(await self._reader.schedule())

    async def _event_fees(self, name: str) -> EventFees:
        started_ms = self._clock.now_ns() // _MS
        event = await self._reader.event(name)
        series = await self._reader.series(event.series)
        return EventFees(
            event=event.event,
            series=event.series,
            started_ms=started_ms,
            override=(event.fee_type_override, event.fee_multiplier_override_e4),
            series_terms=(series.fee_type, series.fee_multiplier_e4),
            waived_until_ms={
                market.market: market.fee_waiver_until_ms
                for market in event.markets
                if market.fee_waiver_until_ms is not None
            },
        )

    def _written(self) -> FilesRead:
        return FilesRead({name: _written_ms(path) for name, path in self._files.items()})

    def _disk(self) -> SlowRead:
        # The folder is made with the first latch; until then its parent's disk is where it will be.
        folder = next(
            (place for place in (self._folder, *self._folder.parents) if place.exists()), Path.cwd()
        )
        try:
            told = os.statvfs(folder)
        except OSError as e:
            return Unread("disk", str(e)[:_REASON_CHARS])
        return DiskRead((told.f_blocks - told.f_bfree) * told.f_frsize, told.f_bavail * told.f_frsize)


async def _tried(kind: str, read: Callable[[], Awaitable[SlowRead]]) -> SlowRead:
    try:
        return await read()
    except VenueError as e:
        return Unread(kind, f"{type(e).__name__}: {e}"[:_REASON_CHARS])


def _written_ms(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns // _MS
    except OSError:
        return None

"""The riskguard's own hands at the venue: it reads, and it cancels. It has no code to create."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.model import Accepted, ExchangeStatus, Outcome
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.server_clock import ClockBounds
from libs.common.runtime.clock import Clock
from libs.common.runtime.log import EventLog
from services.riskguard.core.emergency import CancelAll, TriggerGroups
from services.riskguard.core.reading import Reading


class VenueHands:
    """One account at the venue."""

    def __init__(self, reader: VenueReader, canceller: Canceller, clock: Clock, log: EventLog) -> None:
        self._reader = reader
        self._canceller = canceller
        self._clock = clock
        self._log = log
        self._has_limits = False

    async def read(self, fills_from_ms: int | None) -> Reading:
        """Return one whole reading; fills last, so that they contain what positions show.

        Raises:
            VenueError: Any part could not be read.
        """
        if not self._has_limits:
            self._reader.use_limits(await self._reader.limits(), await self._reader.endpoint_costs())
            self._has_limits = True
        started_ns = self._clock.mono_ns()
        min_ts = None if fills_from_ms is None else fills_from_ms // 1_000
        orders = await self._reader.orders(status="resting")
        positions = await self._reader.positions()
        settlements = await self._reader.settlements()
        fills = await self._reader.fills(min_ts)
        return Reading(started_ns, tuple(orders), tuple(fills), tuple(positions), tuple(settlements))

    async def exchange(self) -> ExchangeStatus:
        """Return whether the exchange and its shards trade.

        Raises:
            VenueError: It does not say.
        """
        return await self._reader.exchange_status()

    def watch_clock(self, take: Callable[[ClockBounds], None]) -> None:
        """Hand over what every answer to a reading proves about the venue's clock."""
        self._reader.watch_clock(take)

    async def stop_orders(self, act: TriggerGroups | CancelAll) -> bool:
        """Do what the emergency lane wants and return whether the venue confirmed all of it."""
        if isinstance(act, CancelAll):
            outcomes = [await self._canceller.cancel_all()]
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._canceller.trigger_group(group_id, shard))
                    for group_id, shard in act.groups
                ]
            outcomes = [task.result() for task in tasks]
        is_confirmed = all(isinstance(outcome, Accepted) for outcome in outcomes)
        self._note(act, outcomes, is_confirmed=is_confirmed)
        return is_confirmed

    def _note(self, act: TriggerGroups | CancelAll, outcomes: list[Outcome], *, is_confirmed: bool) -> None:
        self._log.event(
            "ORDER_CANCEL",
            f"emergency lane: {act}",
            level="WARNING" if is_confirmed else "ERROR",
            outcomes=[repr(outcome) for outcome in outcomes],
        )

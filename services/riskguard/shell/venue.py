"""The riskguard's own hands at the venue: it reads, and it cancels. It has no code to create."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.model import Accepted, ExchangeStatus, Outcome, Refused
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.server_clock import ClockBounds
from libs.common.runtime.clock import Clock
from libs.common.runtime.log import EventLog
from services.riskguard.core.emergency import Act, CancelAll, CancelOrders, Done, TriggerGroups
from services.riskguard.core.reading import Reading

BATCH: Final = 20
"""Orders cancelled with one request; the smallest tier's bucket pays for so many."""
NOT_FOUND: Final = 404


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

    async def stop_orders(self, act: Act) -> Done:
        """Do one act of the emergency lane and return what the venue confirmed; never raises."""
        match act:
            case CancelAll():
                outcomes = [await self._canceller.cancel_all()]
                done = Done(act, isinstance(outcomes[0], Accepted))
            case CancelOrders(orders):
                chunks = [orders[at : at + BATCH] for at in range(0, len(orders), BATCH)]
                answers = await asyncio.gather(*(self._canceller.cancel_batch(chunk) for chunk in chunks))
                outcomes = [outcome for answer in answers for outcome in answer]
                done = Done(act, all(map(_is_gone, outcomes)))
            case TriggerGroups(groups):
                outcomes = await asyncio.gather(
                    *(self._canceller.trigger_group(group_id, shard) for group_id, shard in groups)
                )
                left = tuple(
                    group for group, outcome in zip(groups, outcomes, strict=True) if not _is_gone(outcome)
                )
                done = Done(act, not left, left)
        self._log.event(
            "ORDER_CANCEL",
            f"emergency lane: {act}",
            level="WARNING" if done.is_confirmed else "ERROR",
            outcomes=[repr(outcome) for outcome in outcomes[:BATCH]],
        )
        return done


def _is_gone(outcome: Outcome) -> bool:
    # Nothing can rest in, or join, a group that does not exist; an order that is not there is cancelled.
    return isinstance(outcome, Accepted) or (isinstance(outcome, Refused) and outcome.status == NOT_FOUND)

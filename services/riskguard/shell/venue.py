"""The riskguard's own hands at the venue: it reads, and it cancels. It has no code to create."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.model import (
    OUTSIDE_SHARD,
    Accepted,
    AccountLimits,
    ExchangeStatus,
    Outcome,
    Refused,
    VenueFunding,
    VenueTransfer,
)
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.restricted import allowed
from libs.common.kalshi.server_clock import ClockBounds
from libs.common.runtime.clock import Clock
from libs.common.runtime.log import EventLog
from services.riskguard.core.emergency import Act, CancelAll, CancelOrders, Done, TriggerGroups
from services.riskguard.core.money.balance import BalanceReading
from services.riskguard.core.money.moves import Move
from services.riskguard.core.reading import Reading

BATCH: Final = 20
"""Orders cancelled with one request; the smallest tier's bucket pays for so many."""
NOT_FOUND: Final = 404
_RETURNED: Final = "returned"
_MS: Final = 1_000_000


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

    def use_limits(self, limits: AccountLimits) -> None:
        """Pace readings by what the account may ask for now."""
        self._reader.use_limits(limits)

    async def balance(self) -> BalanceReading:
        """Return our cash, and after it everything that was moved: a move without its cash is only early.

        Raises:
            VenueError: Any part could not be read; the balance has one look a second for the whole account.
        """
        read_ms = self._clock.now_ns() // _MS
        balance = await self._reader.balance()
        untold: list[str] = []
        transfers = await allowed(self._reader.transfers(), "transfers", untold)
        fundings = await allowed(self._reader.deposits(), "deposits", untold)
        fundings += await allowed(self._reader.withdrawals(), "withdrawals", untold)
        for text in untold:
            # A move that nobody may see looks like money that went: the guard errs on that side.
            self._log.once(text, "RISK_WARNING", text)
        moves = [leg for transfer in transfers for leg in _legs(transfer)]
        moves += [move for funding in fundings for move in _comings(funding)]
        return BalanceReading(read_ms, balance.by_shard or {0: balance.total_e6}, tuple(moves))

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


def _legs(transfer: VenueTransfer) -> Iterator[Move]:
    ends = (("from", transfer.from_shard, -transfer.amount_e6), ("to", transfer.to_shard, transfer.amount_e6))
    for word, shard, amount_e6 in ends:
        if shard != OUTSIDE_SHARD:
            yield Move(f"{transfer.transfer_id}/{word}", shard, (amount_e6,), transfer.created_ms)


def _comings(funding: VenueFunding) -> Iterator[Move]:
    amounts_e6 = tuple(dict.fromkeys((funding.amount_e6, funding.amount_e6 - funding.fee_e6)))
    if funding.is_applied or funding.status == _RETURNED:
        yield Move(funding.funding_id, None, amounts_e6, funding.finalized_ms)
    if funding.status == _RETURNED:
        back_e6 = tuple(-amount_e6 for amount_e6 in amounts_e6)
        yield Move(f"{funding.funding_id}/returned", None, back_e6, funding.finalized_ms)

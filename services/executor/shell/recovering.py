"""Perform the steps of recovery against the venue and the journal, each until it has succeeded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from libs.common.bus.api import Bus, BusUnavailable, OutcomeUnknown
from libs.common.domain.ids import parse_client_order_id
from libs.common.kalshi.model import VenueFill, VenueOrder, VenueOrderStatus
from libs.common.kalshi.rest import VenueReader
from libs.common.messages.base import MalformedMessage, WireDecoder
from libs.common.messages.execution import (
    EpochV1,
    FillV1,
    IntentV1,
    OrderGroupV1,
    OrderState,
    OrderV1,
    Purpose,
    RenewV1,
    ResultV1,
)
from libs.common.runtime.errors import VenueError
from libs.common.runtime.log import EventLog
from libs.common.subjects import Stream, Subjects
from services.executor.core.account import Now
from services.executor.core.effects import Effect, Log, RecordFill, RecordOrder
from services.executor.core.engine import Engine
from services.executor.core.journal import JournalFold, Journalled
from services.executor.core.order_life import Evidence
from services.executor.core.orders import OwnOrder
from services.executor.core.positions import Genesis
from services.executor.core.recovery import Recovery, RecoveryStep
from services.executor.core.requests import CancelRequest
from services.executor.shell.sender import Sender

_Take = Callable[[JournalFold, int, Any], None]
_FAMILIES: dict[str, tuple[WireDecoder[Any], _Take]] = {
    "exec.epoch": (WireDecoder(EpochV1), JournalFold.on_epoch),
    "exec.renew": (WireDecoder(RenewV1), JournalFold.on_renew),
    "exec.group": (WireDecoder(OrderGroupV1), lambda fold, _, message: fold.on_group(message)),
    "exec.intent": (WireDecoder(IntentV1), lambda fold, _, message: fold.on_intent(message)),
    "exec.result": (WireDecoder(ResultV1), lambda fold, _, message: fold.on_result(message)),
    "order": (WireDecoder(OrderV1), lambda fold, _, message: fold.on_order(message)),
    "fill": (WireDecoder(FillV1), lambda fold, _, message: fold.on_fill(message)),
}
_AGAIN_S = 0.5
_CANCEL_ITEMS = 20


class Recovering:
    """The shell of `core/recovery.py`."""

    def __init__(
        self,
        *,
        engine: Engine,
        bus: Bus,
        subjects: Subjects,
        reader: VenueReader,
        sender: Sender,
        recovery: Recovery,
        log: EventLog,
        now: Callable[[], Now],
        perform: Callable[[list[Effect]], None],
        gap_s: float,
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._subjects = subjects
        self._reader = reader
        self._sender = sender
        self._log = log
        self._now = now
        self._perform = perform
        self._gap_s = gap_s
        self.recovery = recovery
        self.journal = JournalFold()

    async def genesis(self) -> Genesis:
        """Return the account's cash and now, for the first epoch ever."""
        balance = await self._reader.balance()
        return Genesis(balance.total_e6, self._now().ms, tuple(sorted(balance.by_shard.items())))

    async def recover(self) -> None:
        """Do everything after leading: clean the venue, read the journal, rebuild, resolve.

        Cleaning needs the groups alone, which are a few messages of one subject: how
        long the journal has grown must not decide how long old orders may rest.
        """
        await self._until(self.read_groups, "groups")
        self.recovery.done(RecoveryStep.LEAD)
        await self.clean(self.journal.old_groups(self._engine.epoch.number))
        await self._until(self.read_journal, "journal")
        await self._until(self._rebuild, "rebuild")
        self.recovery.done(RecoveryStep.REBUILD)
        await self._until(self._resolve, "resolve")
        self.recovery.done(RecoveryStep.RESOLVE_INTENTS)

    async def clean(self, groups: Iterable[OrderGroupV1]) -> None:
        """Trigger old groups, cancel what remains, list until clean."""
        known = list(groups)
        await self._until(lambda: self._trigger(known), "trigger")
        self.recovery.done(RecoveryStep.TRIGGER_OLD_GROUPS)
        await self._until(self._cancel_leftovers, "cancel")
        self.recovery.done(RecoveryStep.CANCEL_LEFTOVERS)
        while self.recovery.step is RecoveryStep.LIST_UNTIL_CLEAN:
            await self._until(self._list_once, "list")
            await asyncio.sleep(self._gap_s)

    async def read_groups(self) -> None:
        """Read which groups older epochs made: a few messages, however long the journal is."""
        fold = JournalFold()
        async for message in self._bus.read(self._subjects.of("exec.group", self._engine.account.name)):
            self._take(fold, message.subject, message.data, message.sequence)
        self.journal = fold

    async def settle(self) -> None:
        """Settle what older epochs left open: their groups are triggered and nothing of them is listed."""
        account, number = self._engine.account, self._engine.epoch.number
        open_orders = [order for order in account.orders.unresolved() if order.epoch < number]
        if open_orders:
            await self._until(lambda: self._prove(open_orders), "settle")

    async def _prove(self, open_orders: list[OwnOrder]) -> None:
        # Well after the trigger, and several times: reads lag.
        await asyncio.sleep(self._engine.intake.read_lag_ns / 1e9)
        found: dict[str, VenueOrder] = {}
        for _ in range(self.recovery.clean_reads):
            await asyncio.sleep(self._gap_s)
            told = await self._reader.orders()
            found |= {one.client_order_id: one for one in told} | {one.order_id: one for one in told}
        now = self._now()
        for fill in reversed(await self._reader.fills()):
            self._perform(self._engine.intake.on_fill(fill, now))
        for order in open_orders:
            shown = found.get(order.order_id) or found.get(order.client_order_id)
            self._perform(self._engine.intake.on_proof(order, shown, now))

    async def read_journal(self) -> None:
        """Read everything that EXEC holds of this account."""
        fold = JournalFold()
        # One pass over the whole stream: the order of its messages is the order of what happened.
        async for message in self._bus.read_all(Stream.EXEC):
            self._take(fold, message.subject, message.data, message.sequence)
        self.journal = fold

    def _take(self, fold: JournalFold, subject: str, data: bytes, sequence: int) -> None:
        for family, (decoder, take) in _FAMILIES.items():
            if not subject.startswith(f"{self._subjects.root}.{family}."):
                continue
            try:
                message = decoder.decode(data)
            except MalformedMessage as e:
                fold.malformed += 1
                fold.has_unread_group |= family == "exec.group"
                self._log.event("MALFORMED", str(e), level="ERROR", source=subject, sequence=sequence)
                return
            if message.account == self._engine.account.name:
                take(fold, sequence, message)
            return

    async def _trigger(self, groups: list[OrderGroupV1]) -> None:
        is_all = self.journal.has_unread_group
        if not groups and not is_all:
            return
        live = await self._reader.order_groups()
        listed = [(group.order_group_id, group.shard) for group in live]
        self.recovery.old_groups(groups, listed, is_all=is_all)
        for order_group_id, shard in self.recovery.to_trigger():
            if await self._sender.trigger_group(order_group_id, shard):
                self.recovery.on_triggered(order_group_id)
                self._log.event("ORDER_GROUP", "triggered", order_group_id=order_group_id, shard=shard)
        if left := self.recovery.to_trigger():
            raise BusUnavailable(f"{len(left)} order groups without a confirmed trigger")

    async def _cancel_leftovers(self) -> None:
        await self._cancel(self.recovery.ours(await self._reader.orders(status="resting")))

    async def _list_once(self) -> None:
        await self._cancel(self.recovery.on_listing(await self._reader.orders(status="resting")))

    async def _cancel(self, cancels: list[CancelRequest]) -> None:
        for start in range(0, len(cancels), _CANCEL_ITEMS):
            part = cancels[start : start + _CANCEL_ITEMS]
            told = [{"market": cancel.market, "order_id": cancel.order_id} for cancel in part]
            self._perform([Log("ORDER_CANCEL", "left over", fields=fields) for fields in told])
            await self._sender.send_cancels(part)

    async def _rebuild(self) -> None:
        account, now = self._engine.account, self._now()
        genesis = self.journal.genesis
        if genesis is not None and genesis.genesis_balance_e6 is not None:
            account.positions.genesis = Genesis(genesis.genesis_balance_e6, genesis.genesis_ms or 0)
        # All reads first: a read that fails half-way must not leave fills counted and not recorded.
        orders = await self._reader.orders()
        fills = await self._reader.fills()
        settlements = await self._reader.settlements()
        unresolved = {one.item.client_order_id for one in self.journal.unresolved()}
        for told in orders:
            self._adopt(told, unresolved, now)
        self._count_unlisted(fills, now)
        for fill in reversed(fills):
            self._record(self._engine.intake.on_fill(fill, now))
        account.positions.listed(fills)
        for fill in account.positions.parked():
            told_order = await self._reader.order(fill.order_id)
            if told_order is not None:
                self._adopt(told_order, {told_order.client_order_id}, now)
            if account.orders.by_order(fill.order_id) is None:
                self._record(self._engine.intake.foreign_fills(fill.order_id, now))
            else:
                for parked in account.positions.unpark(fill.order_id):
                    self._record(self._engine.intake.on_fill(parked, now))
        for settlement in reversed(settlements):
            self._engine.intake.on_settlement(settlement, now)
        for market in account.known_markets():
            self._perform(account.touched(market, now))

    # The venue lists orders and fills of about two weeks (kalshi-api 18); what is older only the journal
    # knows. It comes first: cost follows the order in which things were bought.
    def _count_unlisted(self, fills: Iterable[VenueFill], now: Now) -> None:
        listed = {(fill.trade_id, fill.order_id) for fill in fills}
        for key, journalled in self.journal.fills.items():
            if key not in listed:
                self._record(self._engine.intake.on_journalled_fill(journalled, now))

    def _record(self, effects: list[Effect]) -> None:
        # What the journal knows already is not told again.
        self._perform(
            [
                effect
                for effect in effects
                if isinstance(effect, RecordFill)
                and (effect.fill.trade_id, effect.fill.order_id) not in self.journal.fills
            ]
        )

    def _adopt(self, told: VenueOrder, unresolved: set[str], now: Now) -> None:
        account = self._engine.account
        identity = parse_client_order_id(told.client_order_id)
        if identity is None or identity.env != self.recovery.env:
            account.foreign.add(told.order_id)
            return
        is_ended = told.status in (VenueOrderStatus.CANCELED, VenueOrderStatus.EXECUTED)
        is_plain = is_ended and not told.filled_e2 and told.client_order_id not in unresolved
        if is_plain or account.orders.by_client(told.client_order_id) is not None:
            return
        journalled = self.journal.creates.get(told.client_order_id)
        if journalled is None:
            # Carries our name, but nobody wrote it down first: that must not happen.
            account.counters["orphans"] += 1
            self._log.event("ORDER_ADOPTED", level="ERROR", market=told.market, order_id=told.order_id)
        order = OwnOrder(
            client_order_id=told.client_order_id,
            market=told.market,
            event=account.event_of(told.market),
            shard=told.shard,
            side=told.side,
            price_e4=told.price_e4,
            initial_e2=told.initial_e2,
            total_e2=told.initial_e2 if is_ended else told.filled_e2 + told.remaining_e2,
            epoch=identity.epoch,
            decision_id=journalled.item.decision_id if journalled is not None else "",
            order_group_id=told.order_group_id,
            expires_ms=told.expires_ms or 0,
            state=OrderState.UNKNOWN,
            order_id=told.order_id,
            filled_e2=told.filled_e2,
            purpose=journalled.item.purpose if journalled is not None else Purpose.MAKER,
        )
        account.orders.add(order)
        evidence = {
            VenueOrderStatus.EXECUTED: Evidence.SEEN_EXECUTED,
            VenueOrderStatus.CANCELED: Evidence.SEEN_CANCELLED,
        }.get(told.status, Evidence.LISTED_RESTING)
        account.orders.apply(order, evidence, now.ns, filled_e2=told.filled_e2, reason="recovered")
        if told.client_order_id in unresolved:
            self._perform([account.order_effect(order)])

    async def _resolve(self) -> None:
        account = self._engine.account
        missing = [
            one
            for one in self.journal.unresolved()
            if account.orders.by_client(one.item.client_order_id) is None
        ]
        if not missing:
            return
        # Absence needs several reads; nothing can arrive any more, its group is triggered.
        for _ in range(self.recovery.clean_reads):
            await asyncio.sleep(self._gap_s)
            found = {one.client_order_id: one for one in await self._reader.orders()}
            for one in tuple(missing):
                if one.item.client_order_id in found:
                    self._adopt(found[one.item.client_order_id], {one.item.client_order_id}, self._now())
                    missing.remove(one)
        self._perform([self._never_arrived(one) for one in missing])

    def _never_arrived(self, one: Journalled) -> Effect:
        item, now = one.item, self._now()
        return RecordOrder(
            OrderV1(
                account=self._engine.account.name,
                market=item.market,
                shard=item.shard,
                client_order_id=item.client_order_id,
                order_id="",
                decision_id=item.decision_id,
                epoch=one.epoch,
                side=item.side,
                price_e4=item.price_e4,
                initial_e2=item.qty_e2,
                filled_e2=0,
                remaining_e2=0,
                state=OrderState.REFUSED,
                reason="never_arrived",
                version=1,
                order_group_id=item.order_group_id,
                updated_ns=now.ms * 1_000_000,
            )
        )

    async def _until(self, step: Callable[[], Awaitable[None]], name: str) -> None:
        while True:
            try:
                await step()
            except (VenueError, BusUnavailable, OutcomeUnknown) as e:
                self._log.event("VENUE_ERROR", f"recovery waits at {name}: {e}", level="WARNING")
                await asyncio.sleep(_AGAIN_S)
            else:
                return

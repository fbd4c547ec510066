"""Become the leader, stay it, hand it over: the epoch's shell.

The protocol is `core/epoch.py`; this file only reads, appends and waits. Renewing and
claiming share a lock, so that a renewal under the old token never meets our own claim.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from libs.common.bus.api import AppendRefused, Bus, BusUnavailable, Fence, Message, OutcomeUnknown
from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.order_sender import OrderSender
from libs.common.kalshi.presign import Presigner
from libs.common.messages.base import MalformedMessage, WireDecoder, encode
from libs.common.messages.execution import EpochV1, OrderGroupV1, RenewV1
from libs.common.runtime.errors import FenceLost, VenueError
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.executor.core.account import Now
from services.executor.core.engine import Engine
from services.executor.core.epoch import Seen
from services.executor.core.positions import Genesis

_EPOCH = WireDecoder(EpochV1)
_RENEW = WireDecoder(RenewV1)
_LOOK_S = 0.25
_GROUP_AGAIN_S = 1.0


class Leadership:
    """Observes, claims and renews one account's epoch, and makes its order groups."""

    def __init__(
        self,
        *,
        engine: Engine,
        bus: Bus,
        subjects: Subjects,
        orders: OrderSender,
        canceller: Canceller,
        presigner: Presigner,
        limit_of: Callable[[int], int],
        rest_s: float,
        holder: str,
        run: str,
        build: str,
        config_hash: str,
        log: EventLog,
        now: Callable[[], Now],
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._subjects = subjects
        self._orders = orders
        self._canceller = canceller
        self._presigner = presigner
        self._limit_of = limit_of
        self._rest_ns = int(rest_s * 1e9)
        self._no_group_before_ns = 0
        self._holder = holder
        self._run_id = run
        self._build = build
        self._config_hash = config_hash
        self._log = log
        self._now = now
        self._lock = asyncio.Lock()
        self._account = engine.account.name
        self._epoch_subject = subjects.of("exec.epoch", self._account)
        self._renew_subject = subjects.of("exec.renew", self._account)
        self.groups: list[OrderGroupV1] = []
        """The groups that this process made, of all its epochs, unless known to be dead."""

    async def lead(self, genesis: Callable[[], Awaitable[Genesis]]) -> None:
        """Wait until this process may lead, and claim; ``genesis`` reads cash for a new account."""
        keeper = self._engine.epoch
        while not keeper.is_leading:
            try:
                seen = await self._seen()
                if keeper.number:
                    return  # a claim of ours had landed although nobody said so
                if keeper.observe(seen, self._now().ns):
                    await self._claim(seen, await genesis() if seen.number == 0 else None)
                    continue
            except (BusUnavailable, OutcomeUnknown, VenueError, MalformedMessage) as e:
                self._log.event("EPOCH", f"cannot observe or claim: {e}", level="WARNING")
            await asyncio.sleep(_LOOK_S)

    async def renew(self) -> None:
        """Renew for ever once leading.

        Raises:
            FenceLost: Another leader holds the epoch.
        """
        keeper = self._engine.epoch
        every_s = keeper.times.renew_every_ns / 1e9
        while True:
            if keeper.is_leading:
                await self._renew_once(is_released=False)
            await asyncio.sleep(every_s)

    async def release(self) -> None:
        """Let go in order: the next leader need not wait for the lease."""
        if self._engine.epoch.is_leading:
            await self._renew_once(is_released=True)
            self._engine.epoch.release()

    async def take_over(self) -> None:
        """Claim the next epoch: the present one's groups are dead.

        Raises:
            FenceLost: Somebody else claimed before.
        """
        self._forget_dead_groups()
        keeper = self._engine.epoch
        keeper.is_moving = True
        try:
            async with self._lock:
                before = keeper.number
                while keeper.number == before:
                    try:
                        await self._claim(Seen(keeper.token, keeper.number, 0, is_released=False), None)
                    except (BusUnavailable, OutcomeUnknown) as e:
                        self._log.event("EPOCH", f"cannot claim: {e}", level="WARNING")
                        await asyncio.sleep(_LOOK_S)
                    self._raise_if_lost()
        finally:
            keeper.is_moving = False

    def fuse_blew(self) -> None:
        """Make no group for the venue's window: a new one would count from zero in the same burst."""
        self._no_group_before_ns = self._now().ns + self._rest_ns

    async def make_group(self, shard: int) -> None:
        """Create a group, journal it under the fence, and only then let orders name it."""
        account, keeper = self._engine.account, self._engine.epoch
        epoch, token = keeper.number, keeper.token
        limit_e2 = self._limit_of(shard)
        while (rest_ns := self._no_group_before_ns - self._now().ns) > 0:
            self._log.event(
                "ORDER_GROUP", "rests after a blown fuse", shard=shard, rest_s=round(rest_ns / 1e9, 3)
            )
            await asyncio.sleep(rest_ns / 1e9)
        if keeper.number != epoch:
            return  # a newer epoch asks for its own, once
        try:
            order_group_id = await self._orders.create_order_group(limit_e2, shard)
            group = OrderGroupV1(
                account=self._account,
                epoch=epoch,
                shard=shard,
                order_group_id=order_group_id,
                limit_e2=limit_e2,
            )
            await self._bus.append(
                self._subjects.of("exec.group", self._account),
                encode(group),
                msg_id=f"group-{order_group_id}",
                fence=Fence(self._epoch_subject, token),
            )
        except (VenueError, BusUnavailable, OutcomeUnknown, AppendRefused) as e:
            # Never used: a group that may not be in the journal could outlive its epoch unseen.
            self._log.event("ORDER_GROUP", f"not made: {e}", level="WARNING", shard=shard)
            await asyncio.sleep(_GROUP_AGAIN_S)
            if keeper.number == epoch:
                account.groups_asked.discard(shard)  # a newer epoch asks for its own, once
            return
        self._presigner.watch(self._canceller.trigger_route(order_group_id))
        self.groups.append(group)
        self._log.event("ORDER_GROUP", shard=shard, order_group_id=order_group_id, epoch=epoch)
        if keeper.number == epoch:
            account.group(group)
            account.dirty |= account.targets.markets()

    def _forget_dead_groups(self) -> None:
        # A confirmed trigger is for ever, so a day of halts must not make each takeover longer than the one
        # before: their triggers are not sent again, and not signed ahead.
        dead = self._engine.account.groups_dead
        gone = [group for group in self.groups if group.order_group_id in dead]
        if gone:
            self._presigner.unwatch(*(self._canceller.trigger_route(group.order_group_id) for group in gone))
        self.groups = [group for group in self.groups if group.order_group_id not in dead]

    async def _seen(self) -> Seen:
        last_epoch = await self._bus.last(self._epoch_subject)
        last_renew = await self._bus.last(self._renew_subject)
        if last_epoch is None:
            return Seen(0, 0, 0, is_released=False)
        epoch = await self._newest_epoch(last_epoch)
        if epoch is None:
            return Seen(last_epoch.sequence, 0, 0, is_released=False)
        if epoch.run == self._run_id and epoch.holder == self._holder:
            # Our own claim whose acknowledgement was lost: it did land.
            self._engine.epoch.claimed(epoch.number, last_epoch.sequence, self._now().ns)
        try:
            renew = _RENEW.decode(last_renew.data) if last_renew is not None else None
        except MalformedMessage:
            renew = None  # somebody wrote; whoever it is lives, and released nothing
        is_released = renew is not None and renew.is_released and renew.epoch == epoch.number
        sequence = last_renew.sequence if last_renew is not None else 0
        return Seen(last_epoch.sequence, epoch.number, sequence, is_released)

    async def _newest_epoch(self, last: Message) -> EpochV1 | None:
        """Return the newest epoch that can be read, which is the last message unless that is garbage.

        Garbage moves the fence, so whoever led has lost it; but it names no
        epoch, and refusing to read past it would leave the account without a
        leader for ever.
        """
        try:
            return _EPOCH.decode(last.data)
        except MalformedMessage as e:
            self._log.once("epoch_malformed", "EPOCH", f"skipped: {e}", level="WARNING")
        newest: EpochV1 | None = None
        async for message in self._bus.read(self._epoch_subject):
            try:
                newest = _EPOCH.decode(message.data)
            except MalformedMessage:
                continue
        return newest

    async def _claim(self, seen: Seen, genesis: Genesis | None) -> None:
        keeper = self._engine.epoch
        if keeper.number > seen.number or (keeper.is_leading and not keeper.is_moving):
            return
        number = seen.number + 1
        epoch = EpochV1(
            account=self._account,
            number=number,
            holder=self._holder,
            run=self._run_id,
            build=self._build,
            config_hash=self._config_hash,
            started_ns=self._now().ms * 1_000_000,
            genesis_balance_e6=genesis.balance_e6 if genesis is not None else None,
            genesis_ms=genesis.ms if genesis is not None else None,
            genesis_shards_e6=genesis.by_shard if genesis is not None else (),
        )
        sent_ns = self._now().ns
        try:
            ack = await self._bus.append(
                self._epoch_subject,
                encode(epoch),
                msg_id=f"epoch-{self._account}-{number}-{self._run_id}-{self._holder}",
                fence=Fence(self._epoch_subject, seen.epoch_sequence),
            )
        except AppendRefused as e:
            if e.is_fence:
                keeper.claim_refused(self._now().ns)
                return
            raise BusUnavailable(str(e)) from None
        keeper.claimed(number, ack.sequence, sent_ns)
        self._engine.account.gate.renewed_ns = sent_ns
        self._log.event("EPOCH", "acquired", number=number, token=ack.sequence)

    async def _renew_once(self, *, is_released: bool) -> None:
        keeper = self._engine.epoch
        async with self._lock:
            keeper.counter += 1
            message = RenewV1(
                account=self._account,
                epoch=keeper.number,
                holder=self._holder,
                counter=keeper.counter,
                is_released=is_released,
            )
            sent_ns = self._now().ns
            try:
                await self._bus.append(
                    self._renew_subject,
                    encode(message),
                    msg_id=f"renew-{self._account}-{keeper.number}-{self._run_id}-{keeper.counter}",
                    fence=Fence(self._epoch_subject, keeper.token),
                    timeout_s=1.0,
                )
            except AppendRefused as e:
                if e.is_fence:
                    keeper.fence_refused()
                    self._raise_if_lost()
                return
            except (BusUnavailable, OutcomeUnknown):
                return  # ages by itself: no risk after 3 s, cancel all after 5 s
            keeper.renewed(sent_ns)
            self._engine.account.gate.renewed_ns = keeper.renewed_ns

    def _raise_if_lost(self) -> None:
        keeper = self._engine.epoch
        if not keeper.is_leading:
            self._engine.account.gate.is_fence_lost = True
            self._log.event("EPOCH", "lost", level="CRITICAL", number=keeper.number)
            raise FenceLost(f"epoch {keeper.number} of {self._holder} was taken over")

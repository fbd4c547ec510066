"""Walk the kill ladders against the venue: every shard by itself, until its listing is empty.

What a rung waits for is decided by `core/kill.py`; this file sends, waits and repeats.
Requests to one shard never wait for another shard's, and one without an answer is sent
again beside itself before its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from libs.common.kalshi.model import VenueOrder
from libs.common.kalshi.rest import VenueReader
from libs.common.runtime.errors import VenueError
from services.executor.core.account import Now
from services.executor.core.effects import Effect, Log
from services.executor.core.engine import Engine
from services.executor.core.kill import KillLadder, ShardLadder
from services.executor.core.kill_reach import KillReach
from services.executor.core.kill_scope import WHOLE, KillScope
from services.executor.core.orders import OwnOrder
from services.executor.core.requests import CancelRequest
from services.executor.shell.sender import Sender

_AGAIN_S = 0.02
_AGAIN_MAX_S = 0.25
_BESIDE_S = 0.2
"""A trigger or cancel-all without an answer for so long is sent once more beside itself."""
_OUTSTANDING_MAX = 4
_BURST_TRIES = 8
"""After the first refusals, and up to so many, requests are kept going side by side."""
_LISTING_S = 1.0
_LISTING_BESIDE_S = 0.12
_LISTINGS_MAX = 3
_PATIENCE_MAX = 8
"""How much longer a listing may take after failures, and how much more seldom it is asked beside: a venue
that needs two seconds for it would else be asked ever more and never be heard."""
_LOOK_S = 0.02
_CANCEL_ITEMS = 20
_FIRST_PAGE = 200
"""Enough of a listing to see that it is not empty, and to cancel by name what is left."""
_ALARM_S = 2.0
_ALARM_AGAIN_S = 10.0
_HEARD_LATELY_NS = 1_000_000_000


class Killer:
    """Performs the ladders, any number at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        sender: Sender,
        reader: VenueReader,
        env: str,
        now: Callable[[], Now],
        perform: Callable[[list[Effect]], None],
        heard_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        self._engine = engine
        self._sender = sender
        self._reader = reader
        self._env = env
        self._now = now
        self._perform = perform
        self._heard_ns = heard_ns
        self._walked: list[KillLadder] = []
        self._woken: dict[int, asyncio.Event] = {}
        self.last: KillLadder | None = None
        """The newest ladder of the whole account, or the newest of any scope before there was one."""
        self.is_idle = asyncio.Event()
        self.is_idle.set()

    async def kill(
        self, reason: str, *, with_cancel_all: bool, reach: KillScope = WHOLE, is_heard: bool = False
    ) -> KillLadder:
        """Return once nothing in reach rests, verified by listings, or its halt was lifted.

        Args:
            reason: For the report.
            with_cancel_all: See `KillLadder`.
            reach: What must go.
            is_heard: Whether a halt is behind it, whose ladder ends with it and counts from its arrival.
        """
        self.is_idle.clear()
        now = self._now()
        heard_ns = self._heard_ns() if is_heard else 0
        ladder = self._engine.start_kill(
            reason,
            now,
            with_cancel_all=with_cancel_all,
            reach=reach,
            heard_ns=heard_ns if 0 <= now.ns - heard_ns < _HEARD_LATELY_NS else None,
        )
        if reach.is_whole:
            # Another ladder may be on its way (a halt, then the orderly end): the groups that it has not
            # seen triggered are out of the account already, and no halt is verified while one may live.
            for other in self._walked:
                ladder.add_groups(other.unconfirmed)
        self._walked.append(ladder)
        if reach.is_whole or self.last is None or not self.last.reach.is_whole or self.last.is_over:
            self.last = ladder
        try:
            await self._walk(ladder, is_heard=is_heard)
        finally:
            self._walked.remove(ladder)
            self._engine.account.gate.is_killing = any(one.reach.is_whole for one in self._walked)
            if not self._walked:
                self.is_idle.set()
        return ladder

    def on_group_triggered(self, order_group_id: str) -> None:
        """Take the private feed's word that a group was triggered: it may be quicker than the answer."""
        for ladder in self._walked:
            for walk in ladder.walks.values():
                if order_group_id in walk.unconfirmed:
                    walk.on_triggered(order_group_id, self._now().ns)
                    self._wake(walk)

    @property
    def unverified(self) -> dict[str, list[int]]:
        """Return the shards of which nobody can say that nothing rests, by scope of the halt."""
        return {ladder.reach.name: ladder.unverified for ladder in self._walked if ladder.unverified}

    def gauges(self) -> dict[str, float]:
        """Return whether the newest ladder is verified, its rungs in microseconds, and the sick shards."""
        unverified = {shard for shards in self.unverified.values() for shard in shards}
        gauges = {"halt_verified": 0.0, "halt_unverified_shards": float(len(unverified))}
        ladder = self.last
        if ladder is None:
            return gauges
        gauges["halt_verified"] = float(ladder.is_verified)
        gauges |= {f"halt_{name}_us": float(us) for name, us in ladder.rungs_us.items()}
        for shard, walk in sorted(ladder.walks.items()):
            gauges[f"halt_shard_{shard}_verified"] = float(walk.is_verified)
            gauges |= {f"halt_shard_{shard}_{name}_us": float(us) for name, us in walk.rungs_us.items()}
        return gauges

    # One ladder ---------------------------------------------------------------------------------------

    async def _walk(self, ladder: KillLadder, *, is_heard: bool) -> None:
        alarm = asyncio.create_task(self._alarm(ladder), name="halt alarm")
        try:
            async with asyncio.TaskGroup() as tasks:
                # Triggers leave first, of every shard, then cancel-all; nothing is read before they have.
                for walk in ladder.walks.values():
                    for order_group_id in walk.groups:
                        tasks.create_task(self._trigger_until_sure(walk, order_group_id))
                if ladder.with_cancel_all:
                    tasks.create_task(self._cancel_all_until_sure(ladder))
                groups = frozenset(group for walk in ladder.walks.values() for group in walk.groups)
                reach = KillReach(self._engine.account, ladder.reach, self._env, groups)
                for walk in ladder.walks.values():
                    tasks.create_task(self._walk_shard(ladder, walk, reach, is_heard=is_heard))
        finally:
            alarm.cancel()
        verdict = "HALT_VERIFIED" if ladder.is_verified else "HALT_LIFTED"
        self._tell(ladder, verdict, "WARNING" if is_heard else "INFO")

    async def _walk_shard(
        self, ladder: KillLadder, walk: ShardLadder, reach: KillReach, *, is_heard: bool
    ) -> None:
        woken = self._woken[id(walk)] = asyncio.Event()
        try:
            while not walk.is_over:
                walk.is_lifted = self._is_lifted(ladder, is_heard=is_heard)
                if walk.is_lifted:
                    await asyncio.sleep(_AGAIN_S)  # its dead groups are triggered to the end, no more
                    continue
                own = reach.own(walk.shard)
                if not walk.groups:
                    await self._cancel_own(walk, own)
                now_ns = self._now().ns
                may_come = bool(own) and not walk.groups
                due_ns = walk.look(now_ns, may_come=may_come)
                if due_ns > now_ns:
                    await self._sleep(woken, _LOOK_S if may_come else (due_ns - now_ns) / 1e9)
                    continue
                if not await self._list(walk, reach):
                    await asyncio.sleep(_AGAIN_S)
        finally:
            del self._woken[id(walk)]

    def _is_lifted(self, ladder: KillLadder, *, is_heard: bool) -> bool:
        # A halt of the whole account is walked to its end: only then may the next epoch begin.
        return is_heard and not ladder.reach.is_whole and not self._engine.halting.is_halted(ladder.reach)

    async def _list(self, walk: ShardLadder, reach: KillReach) -> bool:
        """Read the shard's listing once; return whether the ladder may look again at once."""
        # Where all must go the first page tells; else what may stay is on it too.
        most = _FIRST_PAGE if walk.groups else None
        found = await self._first_listing(walk, most)
        if found is None:
            walk.on_failure()
            return False
        told, began = found
        is_all = most is None or len(told) < most
        left = [one for one in told if reach.must_go(one)]
        if not left and not is_all:
            # A first page full of other people's orders says nothing of the pages behind it.
            found = await self._first_listing(walk, None)
            if found is None:
                walk.on_failure()
                return False
            told, began = found
            is_all, left = True, [one for one in told if reach.must_go(one)]
        self._take(told, began, walk.shard, is_all=is_all)
        cancels = walk.on_listing((_cancel_of(one) for one in left), began.ns, self._now().ns)
        if cancels:
            await self._cancel(walk, cancels)
        return bool(cancels)

    async def _first_listing(
        self, walk: ShardLadder, most: int | None
    ) -> tuple[list[VenueOrder], Now] | None:
        """Return the first listing to be answered and when it began, or None; slow ones are asked beside."""
        under_way: set[asyncio.Task[tuple[list[VenueOrder], Now] | None]] = set()
        failures, loop = 0, asyncio.get_running_loop()
        patience = min(1 << min(walk.failures, 8), _PATIENCE_MAX)
        until_s = _LISTING_S * patience
        deadline = loop.time() + until_s
        try:
            while loop.time() < deadline:
                for _ in range(_wanted(failures, len(under_way), _LISTINGS_MAX)):
                    under_way.add(asyncio.create_task(self._listing(walk.shard, most, until_s)))
                done, under_way = await asyncio.wait(
                    under_way, timeout=_LISTING_BESIDE_S * patience, return_when=asyncio.FIRST_COMPLETED
                )
                for answer in [task.result() for task in done]:
                    if answer is not None:
                        return answer
                    failures += 1
                    await asyncio.sleep(_pause_s(failures))
            return None
        finally:
            for task in under_way:
                task.cancel()

    async def _listing(
        self, shard: int, most: int | None, until_s: float
    ) -> tuple[list[VenueOrder], Now] | None:
        began = self._now()
        try:
            async with asyncio.timeout(until_s):
                return await self._reader.resting(shard, most=most), began
        except (VenueError, TimeoutError):
            return None

    def _take(self, told: list[VenueOrder], began: Now, shard: int, *, is_all: bool) -> None:
        gate = self._engine.account.gate
        if not (gate.is_rebuilt or gate.is_recovered):
            return  # a standby's ladder, or before recovery: another's orders, which rebuilding will read
        intake, now = self._engine.intake, self._now()
        if is_all:
            markets = {order.market for order in self._engine.account.orders.live() if order.shard == shard}
            self._perform(intake.on_listing(told, began.ns, now, markets=markets))
            return
        self._perform([effect for one in told for effect in intake.on_read_order(one, began.ns, now)])

    # Requests -----------------------------------------------------------------------------------------

    async def _trigger_until_sure(self, walk: ShardLadder, order_group_id: str) -> None:
        async def once() -> bool:
            if await self._sender.trigger_group(order_group_id, walk.shard):
                walk.on_triggered(order_group_id, self._now().ns)
                self._wake(walk)
                return True
            walk.on_failure()
            return False

        await _until_sure(once, lambda: order_group_id not in walk.unconfirmed)

    async def _cancel_all_until_sure(self, ladder: KillLadder) -> None:
        async def once() -> bool:
            if await self._sender.cancel_all():
                ladder.on_cancelled_all(self._now().ns)
                return True
            return False

        await _until_sure(once, lambda: ladder.is_cancelled_all or ladder.is_over)

    async def _cancel_own(self, walk: ShardLadder, own: list[OwnOrder]) -> None:
        """Cancel what our own book says may rest, without waiting for a listing to show it."""
        cancels: list[CancelRequest] = []
        effects: list[Effect] = []
        for order in own:
            if order.order_id and not order.is_in_flight and not order.is_unknown:
                effects += self._engine.quoter.cancel(order, cancels, self._now())
        self._perform(effects)
        if cancels:
            await self._cancel(walk, tuple(cancels))

    async def _cancel(self, walk: ShardLadder, cancels: tuple[CancelRequest, ...]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for start in range(0, len(cancels), _CANCEL_ITEMS):
                tasks.create_task(self._sender.send_cancels(cancels[start : start + _CANCEL_ITEMS]))
        walk.on_cancels_answered(self._now().ns)

    # Telling ------------------------------------------------------------------------------------------

    async def _alarm(self, ladder: KillLadder) -> None:
        await asyncio.sleep(_ALARM_S)
        while True:
            if ladder.unverified:
                self._tell(ladder, "HALT_UNVERIFIED", "CRITICAL")
            await asyncio.sleep(_ALARM_AGAIN_S)

    def _tell(self, ladder: KillLadder, event_type: str, level: str) -> None:
        rungs = ladder.rungs_us
        fields = {
            "reason": ladder.reason,
            "scope": ladder.reach.name,
            "level_word": ladder.reach.level.value,
            "rungs_us": rungs,
            "shards": {str(shard): dict(walk.rungs_us) for shard, walk in ladder.walks.items()},
            "unverified": ladder.unverified,
        }
        clock = " ".join(f"{name}={us}us" for name, us in rungs.items())
        self._perform(
            [
                Log(event_type, fields=fields, level=level),
                self._engine.account.audit(
                    event_type,
                    self._now(),
                    market="",
                    reason=f"{ladder.reason} [{ladder.reach.name}] {clock}",
                    status="verified" if ladder.is_verified else f"unverified {ladder.unverified}",
                    latency_us=rungs.get("verified", 0),
                ),
            ]
        )

    def _wake(self, walk: ShardLadder) -> None:
        woken = self._woken.get(id(walk))
        if woken is not None:
            woken.set()

    @staticmethod
    async def _sleep(woken: asyncio.Event, seconds: float) -> None:
        woken.clear()
        try:
            async with asyncio.timeout(min(seconds, _LISTING_S)):
                await woken.wait()
        except TimeoutError:
            return


async def _until_sure(once: Callable[[], Coroutine[None, None, bool]], is_sure: Callable[[], bool]) -> None:
    """Repeat a request until it is certain; a slow answer is not waited for alone."""
    under_way: set[asyncio.Task[bool]] = set()
    failures = 0
    try:
        while not is_sure():
            for _ in range(_wanted(failures, len(under_way), _OUTSTANDING_MAX)):
                under_way.add(asyncio.create_task(once()))
            done, under_way = await asyncio.wait(
                under_way, timeout=_BESIDE_S, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
            if done and not is_sure():
                failures += 1
                await asyncio.sleep(_pause_s(failures))
    finally:
        for task in under_way:
            task.cancel()


def _wanted(failures: int, under_way: int, most: int) -> int:
    """Return how many requests to begin: one more each time, several at once after the first refusals.

    Every try costs a way to the venue and back, and several refusals in a row would add up
    to a second. A venue that refuses for longer is asked one at a time again.
    """
    want = most if 1 <= failures <= _BURST_TRIES else under_way + 1
    return max(0, min(want, most) - under_way)


def _pause_s(failures: int) -> float:
    """Return how long to wait before the next try: at once at first, four times a second in the end."""
    return min(_AGAIN_MAX_S, _AGAIN_S * (1 << min(failures, 8) >> 1))


def _cancel_of(told: VenueOrder) -> CancelRequest:
    return CancelRequest(told.order_id, told.client_order_id, told.market, told.shard)

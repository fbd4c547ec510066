"""Walk the kill ladder against the venue until its listing is empty twice in a row."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from libs.common.kalshi.rest import VenueReader
from libs.common.runtime.errors import VenueError
from services.executor.core.account import Now
from services.executor.core.effects import Effect, Log
from services.executor.core.engine import Engine
from services.executor.core.kill import KillLadder, KillStep
from services.executor.core.recovery import Recovery
from services.executor.core.requests import CancelRequest
from services.executor.shell.sender import Sender

_AGAIN_S = 0.05
_CANCEL_ITEMS = 20


class Killer:
    """Performs the ladder's steps; several rungs at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        sender: Sender,
        reader: VenueReader,
        env: str,
        now: Callable[[], Now],
        perform: Callable[[list[Effect]], None],
    ) -> None:
        self._engine = engine
        self._sender = sender
        self._reader = reader
        self._ours = Recovery(env)
        self._now = now
        self._perform = perform
        self._walked: list[KillLadder] = []
        self.last: KillLadder | None = None
        self.is_idle = asyncio.Event()
        self.is_idle.set()

    async def kill(self, reason: str, *, with_cancel_all: bool) -> KillLadder:
        """Return once nothing of ours rests, verified by the venue's listing."""
        now = self._now()
        ladder = self._engine.start_kill(reason, now, with_cancel_all=with_cancel_all)
        # Another ladder may be on its way (a halt, then the orderly end): the groups that it has not seen
        # triggered are out of the account already, and no halt is verified while one of them may live.
        for other in self._walked:
            ladder.groups.update(other.unconfirmed)
        self._walked.append(ladder)
        self.last = ladder
        try:
            await self._walk(ladder)
        finally:
            self._walked.remove(ladder)
            self._engine.account.gate.is_killing = bool(self._walked)
        return ladder

    def gauges(self) -> dict[str, float]:
        """Return whether the newest ladder is verified and how long that took, microseconds."""
        ladder = self.last
        if ladder is None:
            return {"halt_verified": 0.0}
        gauges = {"halt_verified": float(ladder.is_verified)}
        if ladder.is_verified:
            gauges["halt_verified_us"] = float(ladder.rungs_us["verified"])
        return gauges

    async def _walk(self, ladder: KillLadder) -> None:
        step = ladder.first(self._now().ns)
        listing_failures = 0
        while not step.is_verified:
            await self._do(ladder, step)
            began = self._now()
            try:
                resting = await self._reader.orders(status="resting")
            except VenueError as e:
                listing_failures += 1
                if listing_failures % 20 == 1:
                    self._perform([Log("VENUE_ERROR", f"halt not verified: {e}", level="ERROR")])
                await asyncio.sleep(_AGAIN_S * 4)
                step = ladder.on_no_listing()
                continue
            self._perform(self._engine.intake.on_listing(resting, began.ns, self._now()))
            step = ladder.on_listing(self._ours.ours(resting), self._now().ns)
            step = replace(step, cancel=self._worth_cancelling(step, ladder))
            if not step.is_verified:
                await asyncio.sleep(_AGAIN_S)
        self._perform(
            [
                Log(
                    "HALT_VERIFIED",
                    fields={"reason": ladder.reason, "rungs_us": dict(ladder.rungs_us)},
                    level="WARNING" if ladder.with_cancel_all else "INFO",
                ),
                self._engine.account.audit(
                    "HALT_VERIFIED",
                    self._now(),
                    market="",
                    reason=ladder.reason,
                    status="verified",
                    latency_us=ladder.rungs_us.get("verified", 0),
                ),
            ]
        )

    def _worth_cancelling(self, step: KillStep, ladder: KillLadder) -> tuple[CancelRequest, ...]:
        # A listing lags: what the feed has told as ended is asked for again only if it stays listed.
        if self._now().ns - ladder.started_ns > self._engine.intake.read_lag_ns:
            return step.cancel
        by_order = self._engine.account.orders.by_order
        return tuple(
            cancel for cancel in step.cancel if (order := by_order(cancel.order_id)) is None or order.is_live
        )

    async def _do(self, ladder: KillLadder, step: KillStep) -> None:
        async with asyncio.TaskGroup() as tasks:
            for order_group_id, shard in step.trigger:
                tasks.create_task(self._trigger(ladder, order_group_id, shard))
            if step.cancel_all:
                tasks.create_task(self._cancel_all(ladder))
            for start in range(0, len(step.cancel), _CANCEL_ITEMS):
                tasks.create_task(self._sender.send_cancels(step.cancel[start : start + _CANCEL_ITEMS]))

    async def _trigger(self, ladder: KillLadder, order_group_id: str, shard: int) -> None:
        if await self._sender.trigger_group(order_group_id, shard):
            ladder.on_triggered(order_group_id, self._now().ns)

    async def _cancel_all(self, ladder: KillLadder) -> None:
        if await self._sender.cancel_all():
            ladder.on_cancelled_all(self._now().ns)

"""The reconciler as a process: read, compare, say so; twice a second the permit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from libs.common.bus.api import AppendRefused, BusError, BusUnavailable, Handler, Message, OutcomeUnknown
from libs.common.kalshi.model import FeedEvent
from libs.common.messages.base import encode
from libs.common.messages.control import PermitV1
from libs.common.messages.risk import OrphanAskV1, ReconResultV1
from libs.common.runtime.app import AppStatus, Runtime
from libs.common.runtime.errors import VenueError
from services.reconciler.config import Config
from services.reconciler.core.core import ReconcilerCore
from services.reconciler.core.effects import AskCancel, Effect, Halt, Log, Publish, Read, Record
from services.reconciler.shell.exec_reader import ExecReader
from services.reconciler.shell.lister import Lister

RunFeed = Callable[[Callable[[list[FeedEvent], int], None]], Awaitable[None]]
"""Runs the private feed for ever and hands over its events with their monotonic arrival."""

_TICK_S: Final = 0.1
_PERMIT_S: Final = 0.5
_RETRY_S: Final = 1.0
_REQUEST_S: Final = 4.0
_NS_PER_MS: Final = 1_000_000


class ReconcilerApp:
    """The running service."""

    def __init__(
        self,
        runtime: Runtime[Config],
        core: ReconcilerCore,
        lister: Lister,
        run_feed: RunFeed,
        feed_faults: Mapping[str, int],
    ) -> None:
        self._rt = runtime
        self._core = core
        self._lister = lister
        self._run_feed = run_feed
        self._feed_faults = feed_faults
        self._exec = ExecReader(
            core, runtime.bus, runtime.subjects, runtime.clock, runtime.log, runtime.metrics
        )
        self._reads: asyncio.Queue[Read] = asyncio.Queue()
        self._acts: asyncio.Queue[Publish | AskCancel] = asyncio.Queue()
        self._records: asyncio.Queue[Record] = asyncio.Queue()
        self._halts: asyncio.Queue[Halt] = asyncio.Queue()
        self._waiting: list[asyncio.Future[ReconResultV1 | str]] = []
        self._boot = f"{runtime.run}/{runtime.instance}/{runtime.clock.now_ns()}"
        self._permits = 0
        self._was_open: bool | None = None
        self._changed = asyncio.Event()
        """A comparison ended: the permit need not wait for its turn."""
        self._stopping = ""
        self._unpublished = 0
        self._has_replayed = False

    @property
    def endpoints(self) -> Mapping[str, Handler]:
        """Return ``run_now`` (compare now), ``orphans`` (the register) and ``resolve`` (one row of it)."""
        return {
            "run_now": self._answer_run_now,
            "orphans": self._answer_orphans,
            "resolve": self._answer_resolve,
        }

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._give_permits(), name="permits")
            group.create_task(self._read_venue(), name="venue")
            group.create_task(self._act(), name="acts")
            group.create_task(self._halt(), name="halts")
            group.create_task(self._keep_register(), name="register")
            group.create_task(_run(self._run_feed(self._on_feed)), name="feed")
            # The executor's word must be whole before the first comparison.
            await self._exec.replay(self._perform)
            self._has_replayed = True
            self._perform(self._core.on_replayed(self._rt.clock.mono_ns()))
            group.create_task(self._tick(), name="tick")

    async def stop(self, reason: str) -> None:
        """Compare a last time, within reason, and withdraw the permit."""
        self._stopping = reason
        with contextlib.suppress(BusError):
            await self._give_permit()
        if self._has_replayed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REQUEST_S):
                    await self._compare("shutdown")

    def status(self) -> AppStatus:
        """Return whether the witnesses agree."""
        core, last = self._core, self._core.last_result
        is_open, reasons = core.permit(self._rt.clock.mono_ns())
        counters = core.counters
        return AppStatus(
            is_ready=last is not None,
            state="starting" if last is None else ("clear" if is_open else "drift"),
            reasons=reasons,
            counters={
                "cycles": counters.cycles,
                "failed_cycles": counters.failed_cycles,
                "drifts": counters.drifts,
                "orphaned_detected": counters.orphaned_detected,
                "ghost_detected": counters.ghost_detected,
                "halts": counters.halts,
                "malformed": self._exec.malformed,
                "unreadable_frames": self._feed_faults.get("unreadable", 0),
                "unpublished": self._unpublished,
            },
            gauges={
                "position_residual_e2": 0 if last is None else last.position_residual_e2,
                "cash_residual_e6": 0 if last is None else last.cash_residual_e6,
                **{
                    f"cash_residual_e6_shard_{shard}": residual_e6
                    for shard, residual_e6 in (() if last is None else last.shard_residuals_e6)
                },
                "permit_open": int(is_open),
                "epoch": core.epoch,
                "orphans_open": len(core.orphans.open),
                "took_ms": 0 if last is None else last.took_ms,
            },
        )

    # Loops -----------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            self._perform(self._core.on_tick(self._rt.clock.mono_ns()))
            await asyncio.sleep(_TICK_S)

    async def _read_venue(self) -> None:
        while True:
            read = await self._reads.get()
            try:
                listing = await self._lister.read(read.fills_from_ms, read.balance_wait_ms)
            except VenueError as e:
                text = f"{type(e).__name__}: {e}"[:300]
                self._perform(self._core.on_read_failed(text, self._rt.clock.mono_ns()))
                self._answer(read.reason, text)
                continue
            self._perform(self._core.on_listing(listing, read.reason, self._rt.clock.mono_ns()))

    async def _act(self) -> None:
        while True:
            match await self._acts.get():
                case Publish() as publish:
                    await self._publish(publish)
                case AskCancel() as ask:
                    await self._ask_cancel(ask)

    async def _halt(self) -> None:
        """Append halts until they are stored; the core subject meanwhile, which halts as well."""
        subject = self._rt.subjects.of("ctl.halt", "reconciler")
        while True:
            item = await self._halts.get()
            data = encode(item.halt)
            self._rt.log.event("HALT", item.halt.reason, level="CRITICAL", trigger=item.halt.trigger)
            while True:
                try:
                    await self._rt.bus.append(subject, data, msg_id=f"{self._boot}/{item.msg_id}")
                    break
                except (BusUnavailable, OutcomeUnknown, AppendRefused) as e:
                    self._rt.log.once("halt_not_stored", "BUS_ERROR", str(e), level="ERROR")
                with contextlib.suppress(BusError):
                    await self._rt.bus.publish(subject, data)
                await asyncio.sleep(_RETRY_S)

    async def _keep_register(self) -> None:
        """Append rows of the register until they are stored: they are the record of what people decided."""
        subject = self._rt.subjects.of("audit.recon", self._core.account)
        while True:
            row = (await self._records.get()).row
            msg_id = f"orphan/{row.id}/{row.detected_ms}/{row.resolved}"
            while True:
                try:
                    await self._rt.bus.append(subject, encode(row), msg_id=msg_id)
                    break
                except (BusUnavailable, OutcomeUnknown, AppendRefused) as e:
                    self._rt.log.once("orphan_not_stored", "BUS_ERROR", str(e), level="ERROR")
                await asyncio.sleep(_RETRY_S)
            self._records.task_done()

    async def _give_permits(self) -> None:
        while True:
            # Without a bus nobody would hear it, and what is not heard ages out.
            with contextlib.suppress(BusError):
                await self._give_permit()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERMIT_S):
                    await self._changed.wait()
            self._changed.clear()

    async def _give_permit(self) -> None:
        is_open, reasons = self._core.permit(self._rt.clock.mono_ns())
        if self._stopping:
            is_open, reasons = False, (f"stopping: {self._stopping}", *reasons)
        self._permits += 1
        permit = PermitV1(
            issuer="reconciler",
            boot=self._boot,
            counter=self._permits,
            account=self._core.account,
            is_open=is_open,
            reasons=reasons,
            epoch=self._core.epoch,
            sent_ms=self._rt.clock.now_ns() // 1_000_000,
        )
        if is_open != self._was_open:
            self._was_open = is_open
            event = "PERMIT_OPENED" if is_open else "PERMIT_CLOSED"
            self._rt.log.event(event, "; ".join(reasons), level="INFO" if is_open else "WARNING")
        await self._rt.bus.publish(self._rt.subjects.of("permit.recon", self._core.account), encode(permit))

    # Effects ---------------------------------------------------------------------------------------

    def _on_feed(self, events: list[FeedEvent], now_ns: int) -> None:
        for event in events:
            self._perform(self._core.on_feed(event, now_ns))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Read():
                    self._reads.put_nowait(effect)
                case Publish():
                    self._changed.set()
                    self._answer(effect.result.reason, effect.result)
                    self._acts.put_nowait(effect)
                case AskCancel():
                    self._acts.put_nowait(effect)
                case Record():
                    self._records.put_nowait(effect)
                case Halt():
                    self._halts.put_nowait(effect)
                case Log():
                    self._rt.log.event(
                        effect.event_type, effect.message, level=effect.level, error=None, **effect.fields
                    )

    async def _publish(self, publish: Publish) -> None:
        result = publish.result
        self._rt.log.event(
            "RECONCILIATION_RESULT",
            level="INFO" if publish.is_clear else "WARNING",
            cycle=result.cycle,
            reason=result.reason,
            orphaned_detected=result.orphaned_detected,
            ghost_detected=result.ghost_detected,
            reconciled=result.reconciled,
            errors=result.errors,
            position_residual_e2=result.position_residual_e2,
            cash_residual_e6=result.cash_residual_e6,
            took_ms=result.took_ms,
        )
        family = "recon.clear" if publish.is_clear else "recon.drift"
        subject = self._rt.subjects.of(family, self._core.account)
        try:
            await self._rt.bus.append(subject, encode(result), msg_id=f"{self._boot}/{result.cycle}")
        except BusError as e:
            # The permit and the next result carry the same truth.
            self._unpublished += 1
            self._rt.log.once("result_not_stored", "BUS_ERROR", str(e))

    async def _ask_cancel(self, ask: AskCancel) -> None:
        subject = self._rt.subjects.of("svc", "executor", "cancel_all")
        data = msgspec.json.encode({"reason": ask.reason, "by": "reconciler", "order_ids": ask.order_ids})
        try:
            await self._rt.bus.request(subject, data)
        except (BusUnavailable, OutcomeUnknown) as e:
            self._rt.log.once("cancel_not_asked", "BUS_ERROR", str(e), orders=ask.order_ids)

    # Questions -------------------------------------------------------------------------------------

    async def _answer_run_now(self, message: Message) -> None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                result = await self._compare("request")
        except TimeoutError:
            result = "no result in time"
        data = encode(result) if isinstance(result, ReconResultV1) else msgspec.json.encode({"error": result})
        await self._rt.bus.respond(message, data)

    async def _answer_orphans(self, message: Message) -> None:
        rows = self._core.orphans.rows
        await self._rt.bus.respond(message, msgspec.json.encode({"orphans": rows}))

    async def _answer_resolve(self, message: Message) -> None:
        try:
            ask = msgspec.json.decode(message.data, type=OrphanAskV1)
        except msgspec.DecodeError as e:
            data = msgspec.json.encode({"error": f"a resolution: {e}"})
        else:
            data = await self._resolved(ask)
        await self._rt.bus.respond(message, data)

    async def _resolved(self, ask: OrphanAskV1) -> bytes:
        """Return the row once it is stored, or why there is none."""
        effects, answer = self._core.on_resolve(ask, self._rt.clock.now_ns() // _NS_PER_MS)
        if isinstance(answer, str):
            return msgspec.json.encode({"error": f"expected {answer}"})
        self._perform(effects)
        try:
            async with asyncio.timeout(_REQUEST_S):
                await self._records.join()
        except TimeoutError:
            return msgspec.json.encode({"error": "resolved, but AUDIT has not stored it yet; trying on"})
        return encode(answer)

    async def _compare(self, reason: str) -> ReconResultV1 | str:
        """Ask for a comparison that begins after this call and return its result, or why there is none."""
        if not self._has_replayed:
            return "starting: the executor's events are not read yet"
        future: asyncio.Future[ReconResultV1 | str] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._perform(self._core.on_request(reason, self._rt.clock.mono_ns()))
        return await future

    def _answer(self, reason: str, result: ReconResultV1 | str) -> None:
        # One that was already running when the question came carries another reason.
        if reason not in ("request", "shutdown"):
            return
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(result)


async def _run(awaitable: Awaitable[None]) -> None:
    await awaitable

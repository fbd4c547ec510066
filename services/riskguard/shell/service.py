"""The riskguard as a process: hear, evaluate, say so, and act when a limit is passed."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Final

import msgspec

from libs.common.bus.api import (
    AppendRefused,
    BusError,
    BusUnavailable,
    Fence,
    Handler,
    Message,
    OutcomeUnknown,
)
from libs.common.kalshi.model import FeedEvent
from libs.common.messages.base import encode
from libs.common.messages.control import parse_halt
from libs.common.messages.controls import ControlsV1
from libs.common.runtime.app import AppStatus, Runtime
from libs.common.runtime.errors import VenueError
from libs.common.runtime.latch_file import LatchFile
from services.riskguard.config import Config
from services.riskguard.core.controls import controls
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.effects import Audit, Effect, Halt, Log, Read, ReadBalance, ReadFees, Remember
from services.riskguard.core.emergency import Act, CancelAll, CancelOrders, TriggerGroups
from services.riskguard.core.latches import WriteLatch
from services.riskguard.core.resume import Execute, ResumeAnswer
from services.riskguard.core.slow.readings import Unread
from services.riskguard.shell.inputs import Inputs
from services.riskguard.shell.limit_counter import LimitCounter
from services.riskguard.shell.outputs import Outputs
from services.riskguard.shell.slow_reader import SlowReader
from services.riskguard.shell.venue import VenueHands

RunFeed = Callable[[Callable[[list[FeedEvent], int], None]], Coroutine[None, None, None]]
"""Runs the private feed for ever and hands over its events with their monotonic arrival."""

_PERMIT_S: Final = 0.5
_FIGURES_S: Final = 1.0
_RETRY_S: Final = 1.0
_STORE_S: Final = 4.0
_AGAIN_S: Final = 5.0
"""Until what changes within days is read again after a failure."""
_LANE_S: Final = 8.0
"""How long an end waits for the emergency lane; less than the process may take to end."""
_LANE_LOOK_S: Final = 0.05
_LANE_PULSE_S: Final = 0.1
_MS = 1_000_000


class RiskguardApp:
    """The running service."""

    def __init__(  # noqa: PLR0917 - wired in one place
        self,
        runtime: Runtime[Config],
        core: RiskguardCore,
        venue: VenueHands,
        slow: SlowReader,
        run_feed: RunFeed,
        latch_file: LatchFile,
    ) -> None:
        self._rt = runtime
        self._core = core
        self._venue = venue
        self._slow = slow
        self._run_feed = run_feed
        self._file = latch_file
        self._boot = f"{runtime.run}/{runtime.instance}/{runtime.clock.now_ns()}"
        self._inputs = Inputs(
            core,
            runtime.bus,
            runtime.subjects,
            runtime.clock,
            runtime.log,
            runtime.metrics,
            self._perform,
        )
        self._outputs = Outputs(core, runtime.bus, runtime.subjects, runtime.clock, runtime.log, self._boot)
        self._limits = LimitCounter(
            core, runtime.bus, runtime.subjects, runtime.clock, runtime.log, self._perform
        )
        self._reads: asyncio.Queue[Read] = asyncio.Queue()
        self._lane: asyncio.Queue[Act] = asyncio.Queue()
        self._halts: asyncio.Queue[Halt] = asyncio.Queue()
        self._audits: asyncio.Queue[Audit] = asyncio.Queue()
        self._balance = asyncio.Event()
        self._fees: asyncio.Queue[ReadFees] = asyncio.Queue()
        self._state: Remember | None = None
        """The newest state that is not stored yet; an older one need not be."""
        self._state_waits = asyncio.Event()
        self._changed = asyncio.Event()
        """The permit changed: it need not wait for its turn."""
        self._stored: dict[str, asyncio.Future[int]] = {}
        self._audit_number = 0
        self._unwritten = 0

    @property
    def endpoints(self) -> Mapping[str, Handler]:
        """Return ``halt``, ``resume``, ``limits``, ``limit`` and ``controls``."""
        limits = self._limits
        return {
            "halt": self._answer_halt,
            "resume": self._answer_resume,
            "limits": limits.show,
            "limit": limits.change,
            "controls": self._answer_controls,
        }

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            await self._work()
        except Exception as e:
            # Nobody guards any more: said at once, and not found out by two seconds of silence.
            with contextlib.suppress(BusError):
                await self._outputs.withdraw(f"the riskguard failed: {type(e).__name__}")
            raise

    async def _work(self) -> None:
        self._venue.watch_clock(
            lambda bounds: self._perform(self._core.on_exchange_clock(bounds, self._mono()))
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._inputs.control(), name="control")
            group.create_task(self._give_permits(), name="permits")
            group.create_task(self._store_halts(), name="halts")
            group.create_task(self._read_venue(), name="venue")
            group.create_task(self._ask_exchange(), name="exchange")
            group.create_task(self._stop_orders(), name="emergency")
            group.create_task(self._read_balance(), name="balance")
            group.create_task(self._read_terms(), name="terms")
            group.create_task(self._read_fees(), name="fees")
            group.create_task(self._look_at_host(), name="host")
            group.create_task(self._store_audits(), name="audits")
            group.create_task(self._store_state(), name="state")
            group.create_task(self._inputs.memory(), name="memory")
            group.create_task(self._run_feed(self._on_feed), name="feed")
            await self._inputs.subscribe()
            group.create_task(self._inputs.ask_executor(), name="executor")
            group.create_task(self._tick(), name="tick")
            group.create_task(self._every(_FIGURES_S, self._outputs.figures), name="figures")

    async def stop(self, reason: str) -> None:
        """Withdraw the permit; latches and orders stay as they are."""
        self._outputs.stopping = reason
        with contextlib.suppress(BusError):
            await self._outputs.permit()
        self._perform(self._core.on_stop(self._mono(), self._wall_ms()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_S):
                while self._state is not None:  # noqa: ASYNC110 - one look at a field, for a second at most
                    await asyncio.sleep(_LANE_LOOK_S)
        # Without a bus nobody would start us again in time: what rests is taken out first.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LANE_S):
                while self._core.lane.is_at_work:  # noqa: ASYNC110 - the core's word changes with each tick
                    await asyncio.sleep(_LANE_LOOK_S)

    def status(self) -> AppStatus:
        """Return what is held, what it could lose, and why trading may not go on."""
        core, standing = self._core, self._core.standing
        is_open, reasons = core.permit(self._rt.clock.mono_ns())
        state = core.latches.state()
        word = "halted" if state.is_halted else ("running" if is_open else "paused")
        is_read = core.account.read_ns is not None
        return AppStatus(
            is_ready=is_read,
            state=word if is_read else "starting",
            reasons=reasons,
            counters={
                "halts": core.halts,
                "failed_reads": core.failed_reads,
                "emergency_runs": core.lane.runs,
                "malformed": self._inputs.malformed,
                "latch_unwritten": self._unwritten,
            },
            gauges={
                "exposure_e6": standing.exposures.account_e6,
                "day_pnl_e6": standing.result.day_e6,
                "pnl_e6": standing.result.total_e6,
                "trades_today": standing.result.trades,
                "open_positions": len(standing.view.positions),
                "high_water_e6": core.account.high_water_e6,
                **standing.view.money.gauges(core.limits.money.losses_min_e6),
                "balance_reads": core.areas.money.balance_reads,
                "equity_e6": core.areas.money.balances.equity_e6(core.account, self._mono()) or 0,
                "halt_sequence": state.halt_sequence,
                "permit_open": int(is_open),
                **standing.view.slow.gauges(core.limits.slow.credential_days_max),
                **standing.view.health.gauges(),
                "red_triggers": len(standing.fired),
                "orders_last_minute": standing.view.orders_last_minute,
                "fills_last_minute": standing.view.conduct.fills_last_minute,
                "messages_last_minute": standing.view.conduct.messages_last_minute,
                "repeated_executions": standing.view.conduct.repeated_executions,
                "orders_per_trade_e2": standing.view.conduct.orders_per_trade_e2,
                "oldest_unknown_ms": standing.view.conduct.oldest_unknown_ms,
                "oldest_orphan_ms": standing.view.conduct.oldest_orphan_ms,
                "foreign_orders": standing.view.conduct.foreign_orders,
                "api_errors_last_minute": standing.view.conduct.api_errors_last_minute,
                "rate_limited_last_minute": standing.view.conduct.rate_limited_last_minute,
            },
        )

    # Loops -----------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        pause_s = self._rt.config.timing.evaluate_ms / 1_000
        while True:
            self._perform(self._core.on_tick(self._mono(), self._wall_ms()))
            if self._core.permit(self._mono())[0] != self._outputs.was_open:
                self._changed.set()
            # The lane's pulse is quicker while the venue has not confirmed what it asked for.
            await asyncio.sleep(min(pause_s, _LANE_PULSE_S) if self._core.lane.is_at_work else pause_s)

    async def _give_permits(self) -> None:
        while True:
            # Without a bus nobody would hear it, and what is not heard ages out.
            with contextlib.suppress(BusError):
                await self._outputs.permit()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERMIT_S):
                    await self._changed.wait()
            self._changed.clear()

    async def _every(self, pause_s: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            with contextlib.suppress(BusError):
                await act()
            await asyncio.sleep(pause_s)

    async def _read_venue(self) -> None:
        while True:
            read = await self._reads.get()
            try:
                reading = await self._venue.read(read.fills_from_ms)
            except VenueError as e:
                self._perform(self._core.on_read_failed(f"{type(e).__name__}: {e}"[:300], self._mono()))
                continue
            self._perform(self._core.on_reading(reading, self._mono()))

    async def _ask_exchange(self) -> None:
        pause_s = self._rt.config.timing.exchange_ms / 1_000
        while True:
            try:
                status = await self._venue.exchange()
            except VenueError as e:
                # The core counts the silence; a listing that fails says so itself.
                self._rt.log.once("exchange_status", "VENUE_ERROR", f"{type(e).__name__}: {e}"[:300])
            else:
                self._perform(self._core.on_exchange(status, self._mono()))
            await asyncio.sleep(pause_s)

    async def _stop_orders(self) -> None:
        # Side by side: an act that the venue leaves hanging must not hold up the next one.
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._stop_some(await self._lane.get()))

    async def _stop_some(self, act: Act) -> None:
        self._perform(self._core.on_lane_done(await self._venue.stop_orders(act)))

    async def _store_halts(self) -> None:
        # Side by side: one that the stream refuses must not keep the next one from being heard.
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._store_halt(await self._halts.get()))

    async def _store_halt(self, item: Halt) -> None:
        """Append a halt until it is stored; the core subject meanwhile, which halts as well."""
        subject, data = self._rt.subjects.of("ctl.halt", "riskguard"), encode(item.halt)
        while True:
            try:
                ack = await self._rt.bus.append(subject, data, msg_id=f"{self._boot}/{item.msg_id}")
                break
            except (BusUnavailable, OutcomeUnknown, AppendRefused) as e:
                self._rt.log.once("halt_not_stored", "BUS_ERROR", str(e), level="ERROR")
            with contextlib.suppress(BusError):
                await self._rt.bus.publish(subject, data)
            await asyncio.sleep(_RETRY_S)
        self._perform(self._core.on_halt_stored(item, ack.sequence))
        waiting = self._stored.pop(item.msg_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(ack.sequence)

    async def _read_balance(self) -> None:
        while True:
            await self._balance.wait()
            self._balance.clear()
            try:
                reading = await self._venue.balance()
            except VenueError as e:
                self._perform(self._core.on_balance_failed(f"{type(e).__name__}: {e}"[:300]))
                continue
            self._perform(self._core.on_balance(reading, self._mono()))

    async def _read_terms(self) -> None:
        pause_s = self._rt.config.timing.slow_ms / 1_000
        while True:
            is_whole = True
            async for read in self._slow.terms():
                is_whole &= not isinstance(read, Unread)
                self._perform(self._core.on_slow(read, self._mono()))
            await asyncio.sleep(pause_s if is_whole else min(pause_s, _AGAIN_S))

    async def _read_fees(self) -> None:
        while True:
            asked = await self._fees.get()
            async for read in self._slow.event_fees(asked.events):
                self._perform(self._core.on_slow(read, self._mono()))

    async def _look_at_host(self) -> None:
        while True:
            async for read in self._slow.host():
                self._perform(self._core.on_slow(read, self._mono()))
            await asyncio.sleep(self._rt.config.timing.host_ms / 1_000)

    async def _store_state(self) -> None:
        """Append the newest state until it is stored; a newer one takes its place meanwhile."""
        subject, number = self._rt.subjects.of("risk.state", self._core.account_id), 0
        while True:
            await self._state_waits.wait()
            self._state_waits.clear()
            while self._state is not None:
                item, number = self._state, number + 1
                try:
                    msg_id = f"{self._boot}/state/{number}"
                    await self._rt.bus.append(subject, encode(item.state), msg_id=msg_id)
                except BusError as e:
                    self._rt.log.once("state_not_stored", "BUS_ERROR", str(e), level="ERROR")
                    await asyncio.sleep(_RETRY_S)
                    continue
                if self._state is item:
                    self._state = None

    async def _store_audits(self) -> None:
        while True:
            audit = await self._audits.get()
            self._audit_number += 1
            subject = self._rt.subjects.of("audit.risk", self._core.account_id)
            msg_id = f"{self._boot}/risk/{self._audit_number}"
            try:
                await self._rt.bus.append(subject, encode(audit.record), msg_id=msg_id)
            except BusError as e:
                # The log line of the same event was written already; a lost record must not stop the guard.
                self._rt.log.once("audit_not_stored", "BUS_ERROR", str(e))

    # Effects ---------------------------------------------------------------------------------------

    def _on_feed(self, events: list[FeedEvent], now_ns: int) -> None:
        for event in events:
            self._perform(self._core.on_feed(event, now_ns))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Halt():
                    self._changed.set()
                    self._halts.put_nowait(effect)
                case Read() | ReadBalance() | ReadFees():
                    self._ask(effect)
                case Remember():
                    self._state = effect
                    self._state_waits.set()
                case TriggerGroups() | CancelOrders() | CancelAll():
                    self._lane.put_nowait(effect)
                case Audit():
                    self._audits.put_nowait(effect)
                case WriteLatch():
                    self._changed.set()
                    self._write_latch(effect)
                case Log():
                    self._rt.log.event(
                        effect.event_type, effect.message, level=effect.level, error=None, **effect.fields
                    )

    def _ask(self, effect: Read | ReadBalance | ReadFees) -> None:
        match effect:
            case Read():
                self._reads.put_nowait(effect)
            case ReadBalance():
                self._balance.set()
            case ReadFees():
                self._fees.put_nowait(effect)

    def _write_latch(self, latch: WriteLatch) -> None:
        # Blocks for one fsync, on purpose: a halt is on the disk before anything else happens.
        try:
            write = self._file.halt if latch.is_halted else self._file.clear
            write(latch.halt_sequence, latch.reason, self._rt.clock.now_ns(), stamp=latch.stamp)
        except OSError as e:
            # A halt holds in memory and on the stream; a file that still says halted after a resume only
            # halts the next start.
            self._unwritten += 1
            text = "the local latch could not be written"
            self._rt.log.event("ERROR", text, level="ERROR", error=e, is_halted=latch.is_halted)

    # Questions -------------------------------------------------------------------------------------

    async def _answer_halt(self, message: Message) -> None:
        effects = self._core.on_manual_halt(parse_halt(message.data), self._mono())
        halt = next(effect for effect in effects if isinstance(effect, Halt))
        waiting = self._stored[halt.msg_id] = asyncio.get_running_loop().create_future()
        self._perform(effects)
        sequence = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STORE_S):
                sequence = await waiting
        answer = {"state": "halted", "is_stored": sequence > 0, "halt_sequence": sequence}
        await self._rt.bus.respond(message, msgspec.json.encode(answer))

    async def _answer_resume(self, message: Message) -> None:
        await self._limits.ask_executor()
        nonce = secrets.token_hex(16)
        answer = self._core.on_resume_request(message.data, self._mono(), self._wall_ms(), nonce)
        if isinstance(answer, Execute):
            answer = await self._execute(answer)
        if answer.refusals:
            self._rt.log.event("RESUME_REFUSED", "; ".join(answer.refusals), level="WARNING")
        await self._rt.bus.respond(message, msgspec.json.encode(answer))

    async def _execute(self, execute: Execute) -> ResumeAnswer:
        """Store the resume on the condition that the halt it names is still the newest of all sources."""
        subject = self._rt.subjects.of("ctl.resume", "operator")
        fence = Fence(self._rt.subjects.all_of("ctl.halt"), execute.halt_sequence)
        halt_sequence = execute.halt_sequence
        try:
            ack = await self._rt.bus.append(
                subject, encode(execute.resume), msg_id=f"resume/{execute.resume.nonce}", fence=fence
            )
        except AppendRefused as e:
            refusal = "a newer halt came" if e.is_fence else f"the stream refused: {e}"
        except (BusUnavailable, OutcomeUnknown) as e:
            # It may have been stored; the state endpoint and the latch will tell. A new first step is safe.
            refusal = f"outcome unknown: {e}"
        else:
            now_ms = self._wall_ms()
            self._perform(self._core.on_resume(ack.sequence, execute.resume, now_ms, now_ms))
            return ResumeAnswer(
                is_accepted=True, step=2, halt_sequence=halt_sequence, resume_sequence=ack.sequence
            )
        return ResumeAnswer(is_accepted=False, step=2, refusals=(refusal,), halt_sequence=halt_sequence)

    async def _answer_controls(self, message: Message) -> None:
        core, owners = self._core, self._rt.config.owners
        answer = ControlsV1(
            account=core.account_id,
            controls=controls(core.limits, core.standing.fired),
            owner=owners.default,
            owners=owners.named,
        )
        await self._rt.bus.respond(message, encode(answer))

    def _mono(self) -> int:
        return self._rt.clock.mono_ns()

    def _wall_ms(self) -> int:
        return self._rt.clock.now_ns() // _MS

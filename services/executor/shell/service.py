"""The executor as an app: subscriptions in, core in the middle, effects out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn

from libs.common.bus.api import Bus, Fence, Handler, Message
from libs.common.control.latch import LatchState
from libs.common.kalshi.feed import run_feed
from libs.common.kalshi.model import FeedEvent, GroupUpdate
from libs.common.kalshi.order_sender import OrderSender
from libs.common.kalshi.presign import Presigner
from libs.common.kalshi.session import FeedSession
from libs.common.kalshi.signing import SignsHeaders
from libs.common.messages.base import MalformedMessage, Wire, WireDecoder
from libs.common.messages.control import PermitV1
from libs.common.messages.market import MarketV1, TopV1
from libs.common.messages.target import TargetV1
from libs.common.runtime.app import AppStatus
from libs.common.runtime.clock import Clock
from libs.common.runtime.errors import FenceLost
from libs.common.runtime.latch_file import LatchFile
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.executor.core.account import Now
from services.executor.core.effects import SendBatch, SendCancels, StartKill, TakeOver
from services.executor.core.engine import Engine
from services.executor.core.recovery import RecoveryStep
from services.executor.shell.control import ControlWatch
from services.executor.shell.counter import Counter
from services.executor.shell.direct import DirectDesk
from services.executor.shell.halt_listener import HaltListener
from services.executor.shell.killing import Killer
from services.executor.shell.leadership import Leadership
from services.executor.shell.mode_switch import ENDPOINT, ModeSwitch
from services.executor.shell.notes import FeedNotes
from services.executor.shell.order_routes import OrderRoutes
from services.executor.shell.performer import Performer
from services.executor.shell.polls import Polls
from services.executor.shell.projection import Projection
from services.executor.shell.publisher import Publisher
from services.executor.shell.queue_polls import QueuePolls
from services.executor.shell.recovering import Recovering
from services.executor.shell.sender import Sender
from services.executor.shell.settling import Settling
from services.executor.shell.venue_limits import VenueLimits

_TICK_S = 0.05
_CHANNELS = ("fill", "user_orders", "order_group_updates")
_TARGET = WireDecoder(TargetV1)
_TOP = WireDecoder(TopV1)
_STATUS = WireDecoder(MarketV1)
_PERMIT = WireDecoder(PermitV1)
_STOP_COMPARE_S = 3.0
_ANSWER_S = 3.0
_HOLD_PASS_S = 0.003
"""Longest wait of a pass for an intent on its way: a slow journal must not hold up a cancel."""
_FIRST_WORD_S = 0.15


class ExecutorApp:
    """Runs one account's executor."""

    def __init__(
        self,
        *,
        engine: Engine,
        bus: Bus,
        subjects: Subjects,
        clock: Clock,
        log: EventLog,
        latch: LatchFile,
        listener: HaltListener,
        control: ControlWatch,
        performer: Performer,
        publisher: Publisher,
        sender: Sender,
        killer: Killer,
        leadership: Leadership,
        recovering: Recovering,
        polls: Polls,
        orders: OrderSender,
        presigner: Presigner,
        projection: Projection,
        signer: SignsHeaders,
        ws_url: str,
        now: Callable[[], Now],
        direct: DirectDesk,
        limits: VenueLimits,
        queue_polls: QueuePolls,
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._log = log
        self._latch = latch
        self._listener = listener
        self._control = control
        self._performer = performer
        self._publisher = publisher
        self._sender = sender
        self._killer = killer
        self._leadership = leadership
        self._recovering = recovering
        self._polls = polls
        self._orders = orders
        self._presigner = presigner
        self._order_routes = OrderRoutes(presigner, orders.change_routes)
        self._projection = projection
        self._signer = signer
        self._ws_url = ws_url
        self._now = now
        self._tasks: asyncio.TaskGroup | None = None
        self._pass_due = False
        self._held: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._take_over_wanted = asyncio.Event()
        self._is_at_work = asyncio.Lock()
        self._malformed: set[str] = set()
        self._direct = direct
        self._limits = limits
        self._queue_polls = queue_polls
        mode = ModeSwitch(engine=engine, bus=bus, perform=performer.perform, now=now)
        settling = Settling(engine=engine, bus=bus, perform=performer.perform)
        self._counter = Counter(
            engine=engine,
            bus=bus,
            killer=killer,
            perform=performer.perform,
            now=now,
            drain=self._drain,
            others={**direct.endpoints, **settling.endpoints, ENDPOINT: mode.answer},
        )
        self._connect_effects()

    # What the runner asks -----------------------------------------------------------------------------

    @property
    def endpoints(self) -> Mapping[str, Handler]:
        """Return the executor's own endpoints."""
        return self._counter.endpoints

    async def run(self) -> None:
        """Lead and trade until cancelled."""
        with self._presigner:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await self._listener.start()
                tasks.create_task(self._performer.run(), name="performer")
                tasks.create_task(self._publisher.run(), name="publisher")
                await self._read_latches()
                await self._subscribe()
                tasks.create_task(self._control.run(), name="control")
                tasks.create_task(self._tick(), name="tick")
                tasks.create_task(self._feed(), name="feed")
                tasks.create_task(self._polls.run(), name="polls")
                tasks.create_task(self._limits.run(), name="limits")
                tasks.create_task(self._queue_polls.run(), name="queue polls")
                tasks.create_task(self._leadership.renew(), name="renew")
                tasks.create_task(self._projection.run(), name="projection")
                tasks.create_task(self._lead(), name="lead")

    async def stop(self, reason: str) -> None:
        """Close the gate, cancel everything, verify, compare a last time, let go."""
        await self._drain(f"stop: {reason}")
        if not self._engine.epoch.is_leading:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * _STOP_COMPARE_S), self._is_at_work:
                if self._recovering.recovery.is_done:
                    await self._compare_last()
        await self._publisher.flush(2.0)
        await self._leadership.release()
        await self._listener.stop()

    async def _drain(self, reason: str = "drain") -> None:
        """Close the gate for good in this process and take everything of ours out of the venue."""
        self._engine.account.gate.is_stopping = True
        if not self._engine.epoch.is_leading:
            return  # a standby holds the lock while it waits for the leader's silence, and has nothing out
        if self._engine.account.gate.is_rebuilt:
            # Not behind the lock: a takeover from itself that waits for the journal would hold the cancels.
            await self._killer.kill(reason, with_cancel_all=False)
            return
        async with self._is_at_work:
            if self._recovering.recovery.is_done:
                await self._killer.kill(reason, with_cancel_all=False)

    def status(self) -> AppStatus:
        """Return the gate's word and why."""
        engine = self._engine
        is_standby = not engine.epoch.is_leading
        return AppStatus(
            is_ready=engine.account.gate.is_recovered and not is_standby,
            state="standby" if is_standby else engine.state.value,
            reasons=tuple(engine.reasons),
            counters={**engine.counters(), **self._api_counters()},
            gauges={
                **engine.gauges(),
                "journal_waiting": float(self._publisher.waiting),
                "halt_heard_mono_ns": float(self._listener.heard_ns),
                "halts_scoped": float(len(engine.halting.scoped)),
                "halts_astray": float(len(engine.halting.astray)),
                **self._killer.gauges(),
                **self._engine.quoter.gauges(),
                **self._order_routes.gauges(),
            },
        )

    def _api_counters(self) -> dict[str, int]:
        counted = self._engine.account.counters
        return {name: counted[name] for name in ("api_requests", "api_errors", "reads_rate_limited")}

    # Life ---------------------------------------------------------------------------------------------

    async def _read_latches(self) -> None:
        self._engine.halting.word = self._latch.read()
        word = self._engine.halting.word
        self._engine.account.gate.file_reason = word.reason if word.is_halted else ""
        self._engine.account.gate.file_level = word.level
        await self._control.read_all()
        self._recovering.recovery.done(RecoveryStep.READ_LATCHES)

    async def _lead(self) -> NoReturn:
        async with self._is_at_work:
            await self._leadership.lead(self._recovering.genesis)
            self._engine.began_epoch(self._engine.epoch.number)
            await self._recovering.recover()
            self._engine.direct.earlier = self._recovering.journal.asked
            self._engine.account.gate.is_rebuilt = self._engine.account.gate.is_recovered = True
        self._pass_soon()
        while True:
            await self._take_over_wanted.wait()
            self._take_over_wanted.clear()
            if not self._engine.account.gate.is_stopping:
                async with self._is_at_work:
                    await self._take_over()

    async def _take_over(self) -> None:
        engine = self._engine
        engine.account.gate.is_recovered = False
        await self._leadership.take_over()
        engine.began_epoch(engine.epoch.number)
        self._recovering.recovery.again()
        number = engine.epoch.number
        await self._recovering.clean([group for group in self._leadership.groups if group.epoch < number])
        # Rebuilding is for a process without memory; ours has it, and settles only what it left open.
        await self._recovering.settle()
        self._recovering.recovery.done(RecoveryStep.REBUILD)
        self._recovering.recovery.done(RecoveryStep.RESOLVE_INTENTS)
        engine.reread = True
        engine.account.gate.is_recovered = True
        self._pass_soon()

    async def _kill(self, effect: StartKill) -> None:
        await self._killer.kill(effect.reason, with_cancel_all=True, reach=effect.scope, is_heard=True)
        # A resume may have come while the ladder was walked.
        self._on_latch(self._control.fold.state())

    async def _tick(self) -> NoReturn:
        engine, before_ns = self._engine, self._clock.mono_ns()
        while True:
            await asyncio.sleep(_TICK_S)
            now = self._now()
            engine.account.gate.loop_lag_ns = max(0, now.ns - before_ns - int(_TICK_S * 1e9))
            before_ns = now.ns
            if not self._listener.is_alive and not engine.account.gate.is_stopping:
                raise RuntimeError("the halt listener has died") from self._listener.failure
            if engine.epoch.is_leading:
                self._performer.perform(engine.on_tick(now))
            self._run_pass()

    async def _feed(self) -> None:
        session = FeedSession(_CHANNELS)
        notes = FeedNotes(self._log)
        await run_feed(self._ws_url, self._signer, session, self._on_feed, self._clock, notes=notes)

    async def _compare_last(self) -> None:
        # Reads lag writes: look until both sums agree, but not for ever.
        deadline = asyncio.get_running_loop().time() + _STOP_COMPARE_S
        while asyncio.get_running_loop().time() < deadline:
            self._engine.reread = True
            await self._polls.look()
            if self._engine.raw_residuals == (0, 0):
                break
            await asyncio.sleep(0.3)

    # Planning -----------------------------------------------------------------------------------------

    def _pass_soon(self) -> None:
        """Plan after everything that has arrived by now was taken.

        While an intent is being stored, what comes is collected for one pass and one intent
        more: each on its own would queue for the disk behind the others.
        """
        if not self._pass_due:
            self._pass_due = True
            if self._sender.is_order_leaving:
                self._held = asyncio.get_running_loop().call_later(_HOLD_PASS_S, self._run_due_pass)
            else:
                asyncio.get_running_loop().call_soon(self._run_due_pass)

    def _orders_passed(self) -> None:
        """Go on with what waited for an order's bytes to leave."""
        self._performer.orders_passed()
        if self._held is not None:
            self._held.cancel()
            self._held = None
            asyncio.get_running_loop().call_soon(self._run_due_pass)

    def _run_due_pass(self) -> None:
        self._held = None
        try:
            self._run_pass()
        except Exception as e:  # noqa: BLE001 - a callback's outermost frame: the loop would log it and go on
            self._spawn(_fail(e))

    def _run_pass(self) -> None:
        self._pass_due = False
        now = self._now()
        if not self._engine.epoch.is_leading:
            return
        self._performer.perform(self._engine.run_pass(now))
        wake_ns = self._engine.quoter.wake_ns
        if wake_ns is not None:
            if self._timer is not None:
                self._timer.cancel()
            delay_s = max(0.001, (wake_ns - now.ns) / 1e9)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._pass_soon)

    # Input --------------------------------------------------------------------------------------------

    async def _subscribe(self) -> None:
        bus, subjects, account = self._bus, self._subjects, self._engine.account.name
        await bus.latest(subjects.all_of("md.status"), self._handle(_STATUS, self._on_status))
        await bus.latest(subjects.all_of("md.top"), self._handle(_TOP, self._on_top))
        await bus.latest(subjects.all_of("target"), self._handle(_TARGET, self._on_target))
        for issuer in self._engine.account.gate.issuers:
            handler = self._handle(_PERMIT, self._permit_of(issuer))
            await bus.latest(subjects.of(f"permit.{issuer}", account), handler)
        await bus.each(subjects.all_of("ctl.halt"), self._on_halt)

    def _handle(self, decoder: WireDecoder[Any], take: Callable[[Any], None]) -> Handler:
        async def handler(message: Message) -> None:
            try:
                wire: Wire = decoder.decode(message.data)
            except MalformedMessage as e:
                self._engine.account.counters["malformed"] += 1
                kind = message.subject.rsplit(".", 1)[0]
                if kind not in self._malformed:
                    self._malformed.add(kind)
                    self._log.event("MALFORMED", str(e), level="WARNING", source=message.subject)
                return
            take(wire)

        return handler

    def _on_target(self, target: TargetV1) -> None:
        self._engine.on_target(target, self._now())
        self._pass_soon()

    def _on_top(self, top: TopV1) -> None:
        self._engine.on_top(top, self._now())

    def _on_status(self, status: MarketV1) -> None:
        self._performer.perform(self._engine.on_status(status, self._now()))

    def _permit_of(self, issuer: str) -> Callable[[PermitV1], None]:
        def take(permit: PermitV1) -> None:
            self._engine.on_permit(issuer, permit, self._now())

        return take

    def _on_feed(self, events: list[FeedEvent], received_ns: int) -> None:
        del received_ns
        if not self._engine.account.gate.is_rebuilt:
            # Nothing is known yet that this could be about: a standby would adopt the leader's orders, a new
            # leader those that it is about to read. Rebuilding reads all of it.
            self._engine.reread = True
            for event in events:
                self._engine.listen(event, self._now())
            return
        for event in events:
            if isinstance(event, GroupUpdate) and event.event_type in {"triggered", "deleted"}:
                self._killer.on_group_triggered(event.order_group_id)
        self._performer.perform(self._engine.on_feed(events, self._now()))
        if self._engine.reread:
            self._polls.want_fills()

    async def _on_halt(self, message: Message) -> None:
        self._control.on_heard(message.subject, message.data, "bus")
        if message.reply:
            self._spawn(self._answer(message))

    async def _answer(self, message: Message) -> None:
        """Answer a halt with our word now, and once more when nothing rests.

        The stock command waits 300 ms from one answer to the next, so the first
        word cannot wait for the verification.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_WORD_S):
                await self._killer.is_idle.wait()
        await self._control.answer(message, self._counter.word())
        if not self._killer.is_idle.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER_S):
                    await self._killer.is_idle.wait()
            await self._control.answer(message, self._counter.word())

    def _on_latch(self, state: LatchState) -> None:
        self._performer.perform(self._engine.on_latch(state))

    # Effects ------------------------------------------------------------------------------------------

    def _connect_effects(self) -> None:
        performer = self._performer
        performer.on_batch = self._on_batch
        performer.on_cancels = self._on_cancels
        performer.on_group = lambda effect: self._spawn(self._leadership.make_group(effect.shard))
        performer.on_kill = self._on_kill
        performer.on_take_over = self._on_take_over
        performer.on_read_fills = lambda _: self._polls.want_fills()
        performer.on_read_settlements = lambda _: self._polls.want_settlements()
        performer.on_read_order = self._direct.on_read_order
        performer.on_confirmed = self._direct.on_confirmed
        performer.on_changed = self._pass_soon
        performer.on_order = self._order_routes.on_order
        self._direct.spawn = self._spawn
        performer.is_order_leaving = lambda: self._sender.is_order_leaving
        self._sender.on_fence_lost = self._on_fence_lost
        self._publisher.fence = self._fence
        self._publisher.on_fence_refused = self._on_record_refused
        self._sender.on_passed = self._orders_passed
        self._sender.on_quiet = self._pass_soon
        self._sender.pacing.on_refused = self._limits.soon

    def _on_batch(self, effect: SendBatch) -> None:
        self._order_routes.on_batch(effect)
        self._spawn(self._sender.send_batch(effect))

    def _on_cancels(self, effect: SendCancels) -> None:
        self._spawn(self._sender.send_cancels(effect.cancels, is_paid=effect.is_paid))

    def _on_kill(self, effect: StartKill) -> None:
        self._killer.is_idle.clear()
        self._spawn(self._kill(effect))

    def _on_take_over(self, effect: TakeOver) -> None:
        self._log.event("EPOCH", f"takes over from itself: {effect.reason}", level="WARNING")
        if effect.is_fuse:
            self._leadership.fuse_blew()
        self._take_over_wanted.set()

    def _fence(self) -> Fence | None:
        keeper, account = self._engine.epoch, self._engine.account.name
        return Fence(self._subjects.of("exec.epoch", account), keeper.token) if keeper.token else None

    def _on_record_refused(self, fence: Fence) -> None:
        keeper = self._engine.epoch
        if keeper.is_moving or not keeper.is_leading or fence.sequence != keeper.token:
            return  # our own next claim, whose token the next try carries, or our orderly end
        keeper.fence_refused()
        self._on_fence_lost("a record was refused: another leader holds the epoch")

    def _on_fence_lost(self, reason: str) -> None:
        self._engine.account.gate.is_fence_lost = True

        async def end() -> None:
            raise FenceLost(reason)

        self._spawn(end())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._tasks is not None, "running"
        try:
            self._tasks.create_task(work)
        except RuntimeError:
            # The process ends: its group takes no more work, and whatever was meant has not begun.
            work.close()


async def _fail(error: Exception) -> None:
    raise error

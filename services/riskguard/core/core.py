"""The riskguard's decisions: what is red, what that means, and whether trading may go on.

Rules of the file:

* The permit is open only if everything needed is known, fresh and good, and no
  latch is set. Each reason that closes it is told.
* A latching trigger halts when it becomes red, and again whenever it is red while
  nothing is halted: a resume cannot outrun its cause, unless it overrules it.
* A pausing trigger closes the permit and opens it again by itself; it never halts.
* Halted is never left by anything in here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from libs.common.control.limits import LimitFold
from libs.common.kalshi.model import (
    ExchangeStatus,
    FeedClosed,
    FeedEvent,
    FeedHeard,
    OwnFill,
    OwnOrder,
    VenueFill,
)
from libs.common.kalshi.server_clock import ClockBounds
from libs.common.messages.control import GateState, HaltV1, PermitV1, ResumeV1
from libs.common.messages.execution import EpochV1, OrderGroupV1, OrderV1
from libs.common.messages.health import BeatV1, StatusV1
from libs.common.messages.market import MarketV1, TopV1
from libs.common.messages.risk import AuditRiskV1, LimitV1, ReconResultV1, RiskStateV1
from services.riskguard.core.account import Account
from services.riskguard.core.areas import Areas
from services.riskguard.core.effects import Audit, Effect, Halt, Log, Read, ReadBalance, ReadFees, Remember
from services.riskguard.core.emergency import Done, EmergencyLane, Leader, resting_of
from services.riskguard.core.judge import Patience, Standing, consequences, judge
from services.riskguard.core.latches import Latches
from services.riskguard.core.limit_changes import LimitChanges, is_changeable
from services.riskguard.core.limit_desk import LimitDesk
from services.riskguard.core.limits import Limits
from services.riskguard.core.memory import Memory
from services.riskguard.core.money.balance import BalanceReading
from services.riskguard.core.reading import Reading
from services.riskguard.core.recon_word import ReconWord
from services.riskguard.core.resume import Execute, ResumeAnswer, ResumeDesk
from services.riskguard.core.slow.readings import SlowRead
from services.riskguard.core.triggers.base import Fired

_MS = 1_000_000
_S = 1_000_000_000
FIRED, CLEARED = "trigger_fired", "trigger_cleared"
_OVERLAP_MS = 60_000
_HALT_AGAIN_NS = 3 * _S
_STORE_HEARD_NS = 2 * _S


@dataclass(slots=True)
class RiskguardCore:
    """One account's guard."""

    account_id: str
    limits: Limits
    patience: Patience
    account: Account
    latches: Latches
    leader: Leader
    lane: EmergencyLane
    desk: ResumeDesk
    areas: Areas
    memory: Memory = field(default_factory=Memory)
    standing: Standing = field(default_factory=Standing)
    halts: int = 0
    failed_reads: int = 0
    _recon: ReconWord = field(default_factory=ReconWord)
    _feed_heard_ns: int | None = None
    _is_reading: bool = False
    _read_started_ns: int | None = None
    _red: dict[str, Fired] = field(default_factory=dict)
    _warned: frozenset[str] = frozenset()
    _halted_ns: dict[str, int] = field(default_factory=dict)
    _overruled: dict[str, int] = field(default_factory=dict)
    _heard_since: dict[str, int] = field(default_factory=dict)
    _heard_stored: dict[str, tuple[HaltV1, int]] = field(default_factory=dict)
    _storing: dict[str, str] = field(default_factory=dict)
    """Halts of ours on their way to the stream: message id to the source that they stand for."""
    _is_control_read: bool = False
    _numbers: int = 0

    changes: LimitChanges = field(init=False)
    """The limits under all changes; `limits` is what holds now."""
    _lifted_by: int = 0

    def __post_init__(self) -> None:
        desk = LimitDesk(self.desk.life_ns, self.desk.verifier, self.desk.config_hash)
        fold, admission = LimitFold(self.account_id, is_changeable), self.latches.admission
        self.changes = LimitChanges(self.limits, fold, desk, admission)
        for area in self.areas:
            area.begin_day(self.account.day_ms)

    # What comes in ---------------------------------------------------------------------------------

    def on_top(self, top: TopV1, now_ns: int) -> list[Effect]:
        """Take a touch."""
        self.account.marks.on_top(top, now_ns)
        for area in self.areas:
            area.on_top(top, now_ns)
        return []

    def on_status(self, status: MarketV1, now_ns: int) -> list[Effect]:
        """Take what a market is."""
        self.account.marks.on_status(status)
        for area in self.areas:
            area.on_status(status, now_ns)
        return []

    def on_feed(self, event: FeedEvent, now_ns: int) -> list[Effect]:
        """Take one event of the own private feed."""
        match event:
            case OwnFill(fill):
                self._on_fills((fill,) if self.account.on_fill(fill) else (), now_ns)
            case OwnOrder(order):
                self.account.orders.on_feed(order, now_ns)
                for area in self.areas:
                    area.on_own_order(order, now_ns)
            case FeedHeard():
                is_new, self._feed_heard_ns = self._feed_heard_ns is None, now_ns
                return [Log("FEED_CONNECTED", "own private feed is whole", "INFO")] if is_new else []
            case FeedClosed(reason):
                self._feed_heard_ns = None
                return [Log("FEED_DISCONNECTED", "own private feed is gone", fields={"reason": reason})]
            case _:
                pass
        return []

    def on_order(self, order: OrderV1, now_ns: int) -> list[Effect]:
        """Take the executor's word about an order."""
        self.account.orders.on_claim(order, now_ns)
        for area in self.areas:
            area.on_order(order, now_ns)
        return []

    def on_epoch(self, epoch: EpochV1, sequence: int, stored_ms: int, now_ns: int) -> list[Effect]:
        """Take an epoch, and when the stream stored it; those of before our start come first."""
        self.leader.on_epoch(epoch, sequence, now_ns)
        for area in self.areas:
            area.on_epoch(epoch, sequence, now_ns)
        self.areas.health.on_stored_epoch(epoch, stored_ms)
        return []

    def on_group(self, group: OrderGroupV1) -> list[Effect]:
        """Take a journalled order group."""
        self.leader.on_group(group)
        return []

    def on_beat(self, beat: BeatV1, now_ns: int) -> list[Effect]:
        """Take the heartbeat of any service; the executor's keeps the emergency lane quiet."""
        if beat.service == "executor":
            self.leader.on_beat(beat.instance, now_ns)
        for area in self.areas:
            area.on_beat(beat, now_ns)
        return []

    def on_said(self, status: StatusV1, now_ns: int) -> list[Effect]:
        """Take the executor's answer to our question for its status."""
        for area in self.areas:
            area.on_said(status, now_ns)
        return []

    def on_recon(self, result: ReconResultV1, now_ns: int) -> list[Effect]:
        """Take the result of one comparison."""
        for area in self.areas:
            area.on_recon(result, now_ns)
        return []

    def on_recon_permit(self, permit: PermitV1, now_ns: int) -> list[Effect]:
        """Take the reconciler's permit; a replayed one is void."""
        if permit.account == self.account_id:
            self._recon.on_permit(permit, now_ns)
        return []

    def on_halt(self, sequence: int, source: str, halt: HaltV1, stamp: str | None = "") -> list[Effect]:
        """Take a stored halt; ``stamp`` is the stream's time of storing, None for an acknowledged one."""
        if self._is_control_read:
            self.halts += sequence > self.latches.state().halt_sequence
        self.latches.on_halt(sequence, source, halt, stamp)
        return self._settle_latches()

    def on_halt_stored(self, stored: Halt, sequence: int) -> list[Effect]:
        """Take the acknowledgement of a halt of ours, and of one that it stands for."""
        self._storing.pop(stored.msg_id, None)
        effects = self.on_halt(sequence, "riskguard", stored.halt, None)
        if stored.stands_for:
            halt, count = self._heard_stored.pop(stored.msg_id, (None, None))
            self.latches.fold.stored_for(stored.stands_for, halt, count)
        else:
            # Said again and again while the stream was away, it was one halt all the time.
            self.latches.fold.stored_for("riskguard", stored.halt)
        return [*effects, *self._settle_latches()]

    def on_heard(self, source: str, halt: HaltV1) -> list[Effect]:
        """Take a halt from the core subject: it counts at once."""
        self.latches.on_heard(source, halt)
        return self._settle_latches()

    def on_resume(self, sequence: int, resume: ResumeV1, stored_ms: int, now_ms: int) -> list[Effect]:
        """Take a stored resume; it counts if it is verified, and where it was delayed, later."""
        refusal = self.latches.on_resume(sequence, resume, stored_ms, now_ms)
        if refusal:
            return [Log("RESUME_REFUSED", refusal, fields={"sequence": sequence})]
        return self._on_lifted()

    def on_limit(self, sequence: int, limit: LimitV1, stored_ms: int, now_ms: int) -> list[Effect]:
        """Take a stored change of a limit."""
        return [*self.changes.on_change(sequence, limit, stored_ms), *self._use_limits(now_ms)]

    def on_control_lost(self, why: str, now_ns: int) -> list[Effect]:
        """Halt because the control stream is another one than the one that was read before."""
        self.latches.on_lost()
        self.changes.fold.forget()
        self._is_control_read, self._lifted_by = False, 0
        return self._halt(HaltV1(reason=why, trigger="stream_lost", by="riskguard"), now_ns, "RISK_HALT")

    def on_control_readable(self) -> list[Effect]:
        """Say that the control stream has been read whole."""
        self.latches.on_readable()
        self._is_control_read = True
        self._overrule()
        return self._settle_latches()

    def on_control_unreadable(self, why: str) -> list[Effect]:
        """Say that it could not be read: halted until it can."""
        self.latches.on_unreadable(why)
        return []

    def on_reading(self, reading: Reading, now_ns: int) -> list[Effect]:
        """Take one whole reading of the venue."""
        self._is_reading = False
        self._on_fills(self.account.on_reading(reading, now_ns), now_ns)
        for area in self.areas:
            area.on_reading(reading, now_ns)
        return [
            Log("ORDER_FOREIGN", "it is never touched", fields={"market": order.market, "id": order.order_id})
            for order in self.areas.conduct.take_foreign()
        ]

    def on_read_failed(self, reason: str, now_ns: int) -> list[Effect]:
        """Take the news that the venue could not be read."""
        self._is_reading = False
        self.failed_reads += 1
        for area in self.areas:
            area.on_read_failed(reason, now_ns)
        return [Log("VENUE_ERROR", "the venue could not be read", fields={"reason": reason})]

    def on_exchange(self, status: ExchangeStatus, now_ns: int) -> list[Effect]:
        """Take whether exchange and shards trade."""
        for area in self.areas:
            area.on_exchange(status, now_ns)
        return []

    def on_exchange_clock(self, bounds: ClockBounds, now_ns: int) -> list[Effect]:
        """Take what an answer of the exchange proves about its clock."""
        self.areas.health.on_exchange_clock(bounds, now_ns)
        return []

    def on_balance(self, reading: BalanceReading, now_ns: int) -> list[Effect]:
        """Take a look at our money and everything that was moved."""
        self.areas.money.on_balance(reading, self.account, now_ns)
        return []

    def on_balance_failed(self, reason: str) -> list[Effect]:
        """Take the news that the balance could not be read: the last one is kept."""
        self.areas.money.on_balance_failed(reason)
        return []

    def on_slow(self, read: SlowRead, now_ns: int) -> list[Effect]:
        """Take one reading of what changes within days, or that there is none."""
        return [Log("RISK_WARNING", text, "CRITICAL") for text in self.areas.slow.on_read(read, now_ns)]

    def on_memory(self, state: RiskStateV1 | None) -> list[Effect]:
        """Take the newest stored state, None if none was ever stored."""
        is_used = self.memory.on_read(state, self.account_id, self.account, self.areas.money.balances)
        text = "the day goes on from the stored state" if is_used else "no state of this day is stored"
        return [Log("STATE_READ", text, "INFO", {"day_ms": self.account.day_ms})]

    def on_memory_unreadable(self, why: str) -> list[Effect]:
        """Say that the stored state could not be read: the permit stays closed."""
        self.memory.on_unreadable(why)
        return []

    # What goes out ---------------------------------------------------------------------------------

    def on_tick(self, now_ns: int, now_ms: int) -> list[Effect]:
        """Evaluate everything; the pulse of the service."""
        effects: list[Effect] = []
        if self.account.begin_day_if_due(now_ms, now_ns):
            for area in self.areas:
                area.begin_day(self.account.day_ms)
        self._expire_overrules(now_ms)
        if self.latches.admission.release(self.latches.fold, now_ms):
            effects += self._on_lifted()
        effects += self._use_limits(now_ms)
        for area in self.areas:
            area.on_tick(now_ns, now_ms)
        self._judge(now_ns, now_ms)
        effects += self._on_fired(now_ns, now_ms)
        effects += self._warn()
        effects += self._lane(now_ns)
        effects += self._store_heard(now_ns)
        if self.areas.money.must_read(now_ns):
            effects.append(ReadBalance())
        if events := self.areas.slow.fees_to_ask(now_ns):
            effects.append(ReadFees(events))
        state = self.memory.due(self.account_id, self.account, self.areas.money.balances, now_ns, now_ms)
        if state is not None:
            effects.append(Remember(state))
        started_ns = self._read_started_ns
        if not self._is_reading and (started_ns is None or now_ns - started_ns >= self.patience.listing_ns):
            effects.append(self._read(now_ns))
        return effects

    def on_stop(self, now_ns: int, now_ms: int) -> list[Effect]:
        """Return what is still to be stored before the process ends."""
        balances = self.areas.money.balances
        state = self.memory.due(self.account_id, self.account, balances, now_ns, now_ms, is_last=True)
        return [] if state is None else [Remember(state)]

    def on_manual_halt(self, halt: HaltV1, now_ns: int) -> list[Effect]:
        """Halt because somebody asked this service to."""
        return self._halt(halt, now_ns, "RISK_HALT")

    def on_resume_request(self, data: bytes, now_ns: int, now_ms: int, nonce: str) -> ResumeAnswer | Execute:
        """Take either step of a resume."""
        # What is red is judged now, not a quarter of a second ago.
        self._judge(now_ns, now_ms)
        return self.desk.on_request(
            data,
            self.latches.state(),
            (*self.standing.fired, *self._standing_causes()),
            consequences(self.account, self.standing),
            now_ns,
            now_ms,
            nonce,
            self.changes.limited(now_ms),
        )

    def scale_e4(self, now_ms: int) -> int:
        """Return the size factor of the ramp after the newest resume, ten-thousandths."""
        return self.desk.ramp.scale_e4(self.latches.state().resumed_ms, now_ms)

    def on_lane_done(self, done: Done) -> list[Effect]:
        """Take what the venue said to an act of the emergency lane."""
        self.lane.on_done(done)
        return []

    def permit(self, now_ns: int) -> tuple[bool, tuple[str, ...]]:
        """Return whether trading may go on, and every reason why not."""
        reasons: list[str] = []
        state = self.latches.state()
        if state.is_halted:
            reasons.append(f"halted by {state.source}: {state.reason}")
        elif self.latches.is_local:
            reasons.append(f"halted by the local latch: {self.latches.word.reason}")
        reasons += self._pauses(now_ns)
        return not reasons, tuple(reasons)

    def exits_open(self, now_ns: int) -> bool:
        """Return whether exits may leave: nothing but a halt at level ``reduce_only`` stands against it."""
        state = self.latches.state()
        is_halted = state.is_halted and state.level is not GateState.REDUCE_ONLY
        return not is_halted and not self.latches.is_local and not self._pauses(now_ns, for_exits=True)

    # Below: how ------------------------------------------------------------------------------------

    def _on_lifted(self) -> list[Effect]:
        """Look whether a resume lifted something."""
        effects, lifter = self._settle_latches(), self._overrule()
        if lifter is not None:
            fields = {"by": lifter.by, "sequence": self._lifted_by}
            effects.append(Log("RESUME", lifter.reason, "INFO", fields))
        return effects

    def _overrule(self) -> ResumeV1 | None:
        """Overrule what the newest resume overrules, after a restart as well; return it if it is news."""
        state, lifter = self.latches.state(), self.latches.fold.lifter()
        if lifter is None or state.is_halted or state.resume_sequence <= self._lifted_by:
            return None
        self._lifted_by = state.resume_sequence
        self._overruled.update(dict.fromkeys(lifter.overruled, lifter.override_until_ms))
        return lifter

    def _use_limits(self, now_ms: int) -> list[Effect]:
        was, self.limits = self.limits, self.changes.in_use(now_ms)
        if self.limits == was:
            return []
        self.areas.use(self.limits)
        return [*self.changes.told(was, now_ms)]

    def _judge(self, now_ns: int, now_ms: int) -> None:
        self.standing = judge(
            self.account,
            self.areas,
            self.leader,
            self._recon.newest,
            self.limits,
            self.patience,
            now_ns,
            now_ms,
            is_remembered=self.memory.is_read,
        )

    def _on_fills(self, fills: tuple[VenueFill, ...], now_ns: int) -> None:
        for fill in fills:
            for area in self.areas:
                area.on_fill(fill, now_ns)

    def _pauses(self, now_ns: int, *, for_exits: bool = False) -> list[str]:
        """Return why trading may not go on although nobody halted; red at reduce-only lets exits go."""
        reasons: list[str] = []
        if not self.limits.trading_enabled:
            reasons.append("trading_enabled is false")
        if self.account.read_ns is None:
            reasons.append("the account is not read yet")
        elif now_ns - self.account.read_ns > self.patience.listing_fresh_ns:
            reasons.append("the account was read too long ago")
        if self._feed_heard_ns is None or now_ns - self._feed_heard_ns > self.patience.listing_fresh_ns:
            reasons.append("own private feed is silent")
        if self.memory.problem:
            reasons.append(self.memory.problem)
        reasons += self.areas.money.pauses(now_ns)
        red = [fired for fired in self.standing.fired if fired.trigger not in self._overruled]
        lets_exits = (GateState.REDUCE_ONLY,) if for_exits else ()
        reasons.extend(fired.text for fired in red if fired.level not in lets_exits)
        return reasons

    def _standing_causes(self) -> tuple[Fired, ...]:
        """Return what must be gone before a resume although it only pauses: the reconciler's own halt."""
        problem = self.standing.view.recon_problem
        if problem and any(halted.source == "reconciler" for halted in self.latches.state().halts):
            text = f"the reconciler halted and does not agree: {problem}"
            return (Fired("recon_permit", text, 0, 1, is_latching=True),)
        return ()

    def _on_fired(self, now_ns: int, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        red = {f.trigger: f for f in self.standing.fired}
        for name in self._red.keys() - red.keys():
            gone = self._red[name]
            effects += self._note(CLEARED, gone, now_ms)
            self._halted_ns.pop(name, None)
        for name, fired in red.items():
            if name not in self._red:
                effects += self._note(FIRED, fired, now_ms)
            if fired.is_latching and name not in self._overruled and self._must_halt(name, now_ns):
                self._halted_ns[name] = now_ns
                halt = HaltV1(reason=fired.text, trigger=name, by="riskguard", level=fired.level)
                effects += self._halt(halt, now_ns, "RISK_HALT")
        self._red = red
        return effects

    def _warn(self) -> list[Effect]:
        """Tell each warning once while it stays."""
        view = self.standing.view
        warnings = {**view.health.warnings, **view.slow.warnings}
        new = [text for key, text in warnings.items() if key not in self._warned]
        self._warned = frozenset(warnings)
        return [Log("RISK_WARNING", text) for text in new]

    def _must_halt(self, name: str, now_ns: int) -> bool:
        halted_ns = self._halted_ns.get(name)
        if halted_ns is None:
            return True
        # Resumed although still red, and not overruled: halted again, as soon as the first one had its time.
        return not self.latches.state().is_halted and now_ns - halted_ns > _HALT_AGAIN_NS

    def _halt(self, halt: HaltV1, now_ns: int, event: str) -> list[Effect]:
        self._numbers += 1
        # The latch holds from here on, whatever becomes of the message.
        self.latches.on_heard("riskguard", halt, "own")
        ours = Halt(halt, f"halt-{self._numbers}-{now_ns}")
        self._storing[ours.msg_id] = "riskguard"
        return [
            *self._settle_latches(),
            ours,
            Log(event, halt.reason, "CRITICAL", {"trigger": halt.trigger, "by": halt.by}),
        ]

    def _store_heard(self, now_ns: int) -> list[Effect]:
        """Store halts in our name whose own copy never came: else no resume can name them."""
        heard = self.latches.fold.heard
        effects: list[Effect] = []
        for source, halt in heard:
            since_ns = self._heard_since.setdefault(source, now_ns)
            if source not in self._storing.values() and now_ns - since_ns > _STORE_HEARD_NS:
                self._heard_since[source] = now_ns
                self._numbers += 1
                ours = msgspec.structs.replace(halt, reason=f"heard from {source}: {halt.reason}")
                effects.append(Halt(ours, f"heard-{self._numbers}-{now_ns}", source))
                self._storing[f"heard-{self._numbers}-{now_ns}"] = source
                count = self.latches.fold.heard_count(source, halt)
                self._heard_stored[f"heard-{self._numbers}-{now_ns}"] = (halt, count)
        sources = {source for source, _ in heard}
        self._heard_since = {s: since for s, since in self._heard_since.items() if s in sources}
        return effects

    def _settle_latches(self) -> list[Effect]:
        write, forgotten = self.latches.settle()
        effects: list[Effect] = [] if write is None else [write]
        if forgotten is not None:
            effects += self._halt(forgotten, 0, "HALT")
        return effects

    def _lane(self, now_ns: int) -> list[Effect]:
        leader, orders = self.leader, self.account.orders
        read_ns = self.account.read_ns
        is_blind = self._feed_heard_ns is None and (read_ns is None or read_ns < leader.heard_ns)
        resting = resting_of(orders.ours(), orders.claimed_ours(), is_blind=is_blind)
        acts = self.lane.step(now_ns - leader.heard_ns, resting, leader.groups(), now_ns)
        if not acts:
            return []
        logs = [
            Log("RISK_TRIGGER", f"emergency lane: {act}", "CRITICAL", {"try": self.lane.tries})
            for act in acts
        ]
        return [*acts, *logs] if self._is_reading else [*acts, *logs, self._read(now_ns)]

    def _read(self, now_ns: int) -> Read:
        self._is_reading, self._read_started_ns = True, now_ns
        until_ms = self.account.fills_until_ms
        is_first = self.account.read_ns is None
        return Read(None if is_first else max(0, until_ms - _OVERLAP_MS))

    def _expire_overrules(self, now_ms: int) -> None:
        for name in [name for name, until_ms in self._overruled.items() if now_ms > until_ms]:
            del self._overruled[name]

    def _note(self, what: str, fired: Fired, now_ms: int) -> list[Effect]:
        record = AuditRiskV1(
            event_type=what,
            account=self.account_id,
            trigger=fired.trigger,
            reason=fired.text,
            limit=fired.limit,
            was=fired.was,
            event_ns=now_ms * _MS,
        )
        event, level = ("RISK_TRIGGER", "WARNING") if what == FIRED else ("RISK_CLEARED", "INFO")
        return [Audit(record), Log(event, fired.text, level, {"trigger": fired.trigger})]

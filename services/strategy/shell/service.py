"""Strategy as a process: newest book in, decision out; it keeps nothing that messages do not bring.

Books are shared out among the replicas of the queue group; positions, signals
and configuration reach every replica. The executor says every position each
second, so a new replica is whole within that time and silent until then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from libs.common.bus.api import BusUnavailable, Handler, Message
from libs.common.domain.latency import Latencies
from libs.common.domain.reasons import Reason
from libs.common.messages.base import MalformedMessage, WireDecoder, encode
from libs.common.messages.execution import PositionV1
from libs.common.messages.market import BookV1, SignalV1
from libs.common.messages.target import TargetV1
from libs.common.runtime.app import AppStatus, Runtime
from services.strategy.config import Config
from services.strategy.core.pace import Pace
from services.strategy.core.pipeline import NO_SIGNALS, Plan, decide, refuse
from services.strategy.core.plans import Plans
from services.strategy.core.settings import BadSettings
from services.strategy.shell.audit import DecisionAudit

QUEUE = "strategy"
_BOOKS = WireDecoder(BookV1)
_POSITIONS = WireDecoder(PositionV1)
_SIGNALS = WireDecoder(SignalV1)


class StrategyApp:
    """The running service."""

    def __init__(self, runtime: Runtime[Config], plans: Plans) -> None:
        self._runtime = runtime
        self._bus = runtime.bus
        self._log = runtime.log
        self._plans = plans
        self._pace = Pace(is_alone=runtime.config.replicas == 1)
        self._audit = DecisionAudit(runtime)
        self._positions: dict[str, PositionV1] = {}
        self._books: dict[str, BookV1] = {}
        self._signals: dict[str, dict[str, SignalV1]] = {}
        self._subjects: dict[str, str] = {}
        self._counters: Counter[str] = Counter()
        self._is_subscribed = False
        self._tick_to_heard = Latencies()
        self._heard_to_target = Latencies()

    @property
    def endpoints(self) -> Mapping[str, Handler]:
        """Return no endpoints beyond those all services share."""
        return {}

    async def run(self) -> None:
        """Subscribe, then write the audit until cancelled."""
        subjects = self._runtime.subjects
        await self._bus.watch_config("strategy.>", self._on_config)
        await self._bus.latest(subjects.all_of("position"), self._on_position)
        await self._bus.latest(subjects.all_of("signal"), self._on_signal)
        await self._bus.latest(subjects.all_of("md.book"), self._on_book, queue=QUEUE)
        self._is_subscribed = True
        await self._audit.run()

    async def stop(self, reason: str) -> None:
        """Write what the audit still holds. Targets expire by themselves; the executor cancels."""
        del reason
        self._is_subscribed = False
        await self._audit.flush()

    def status(self) -> AppStatus:
        """Return counters and whether quoting is allowed."""
        reasons = [] if self._is_subscribed else ["not_subscribed"]
        enabled = self._plans.trading_enabled
        return AppStatus(
            is_ready=self._is_subscribed,
            state="running" if enabled else "trading_disabled",
            reasons=tuple(reasons),
            counters={
                "decisions": 0,
                "targets": 0,
                "decisions_failed": 0,
                "malformed": 0,
                "publish_failed": 0,
                **self._counters,
                "decisions_audited": self._audit.appended,
                "audit_dropped": self._audit.dropped,
            },
            gauges={
                "markets_with_position_known": len(self._positions),
                "config_revision": self._plans.revision,
                **self._tick_to_heard.gauges("tick_to_heard"),
                **self._heard_to_target.gauges("heard_to_target"),
            },
        )

    # Inputs -----------------------------------------------------------------------------------------

    async def _on_book(self, message: Message) -> None:
        try:
            book = _BOOKS.decode(message.data)
        except MalformedMessage as e:
            self._malformed("md.book", e)
            return
        self._books[book.market] = book
        if await self._answer(book):
            self._tick_to_heard.add((message.received_ns - book.origin_mono_ns) // 1_000)
            self._heard_to_target.add((self._runtime.clock.mono_ns() - message.received_ns) // 1_000)

    async def _answer(self, book: BookV1) -> bool:
        """Decide about a market, publish what is worth a message, and return whether something was."""
        self._counters["decisions"] += 1
        target = self._decide(book)
        is_due, is_changed = self._pace.judge(target)
        if not is_due:
            return False
        subject = self._subjects.get(book.market)
        if subject is None:
            subject = self._subjects[book.market] = self._runtime.subjects.of("target", book.market)
        try:
            await self._bus.publish(subject, encode(target))
        except BusUnavailable:
            self._pace.forget(book.market)
            self._counters["publish_failed"] += 1
            return False
        self._counters["targets"] += 1
        if is_changed:
            self._audit.add(target)
            self._tell(target, book)
        return True

    def _decide(self, book: BookV1) -> TargetV1:
        position = self._positions.get(book.market)
        plan: Plan[Any] = self._plans.of(book.market)
        try:
            return decide(book, position, plan, self._signals.get(book.market, NO_SIGNALS))
        except Exception as e:  # noqa: BLE001 - B-053: an error in one market silences that market, not the others
            self._counters["decisions_failed"] += 1
            if str(self._counters["decisions_failed"]).strip("0") == "1":
                self._log.error("a decision failed; its market gets an empty target", e, market=book.market)
            return refuse(book, position, plan, Reason.STRATEGY_ERROR, type(e).__name__)

    async def _on_position(self, message: Message) -> None:
        try:
            position = _POSITIONS.decode(message.data)
        except MalformedMessage as e:
            self._malformed("position", e)
            return
        held = self._positions.get(position.market)
        if held is not None and (position.epoch, position.sequence) < (held.epoch, held.sequence):
            self._counters["positions_out_of_order"] += 1
            return
        self._positions[position.market] = position
        book = self._books.get(position.market)
        if book is not None and (held is None or _bearing(held) != _bearing(position)):
            # A fill must move the quotes now, not with the next book. The decision about this book is
            # revised under the same id and told apart by its position's number.
            await self._answer(book)

    async def _on_signal(self, message: Message) -> None:
        try:
            signal = _SIGNALS.decode(message.data)
        except MalformedMessage as e:
            self._malformed("signal", e)
            return
        # A new dictionary, because a decision may be reading the old one.
        self._signals[signal.market] = {**self._signals.get(signal.market, {}), signal.source: signal}

    async def _on_config(self, message: Message) -> None:
        key = message.subject
        try:
            is_ours = self._plans.apply(key, message.data, message.sequence)
        except BadSettings as e:
            self._log.event(
                "CONFIG_REFUSED", str(e), level="ERROR", key=key, revision=message.sequence, reason=str(e)
            )
            return
        if is_ours:
            self._log.event("CONFIG_APPLIED", key=key, revision=message.sequence)

    # Words ------------------------------------------------------------------------------------------

    def _malformed(self, source: str, error: MalformedMessage) -> None:
        self._counters["malformed"] += 1
        self._runtime.metrics.count("malformed_total", source="bus", kind=source)
        self._log.once(f"malformed {source}", "MALFORMED", str(error), source=source)

    def _tell(self, target: TargetV1, book: BookV1) -> None:
        if self._log.level != "DEBUG":
            return
        spread_e4 = book.asks[0][0] - book.bids[0][0] if book.bids and book.asks else None
        self._log.event(
            "DECISION_MADE",
            level="DEBUG",
            market=target.market,
            decision_id=target.decision_id,
            target_count=len(target.quotes),
            spread_e4=spread_e4,
            fair_e4=target.fair_e4,
            reasons=[silence.reason for silence in target.silences],
        )


def _bearing(position: PositionV1) -> tuple[int, int, bool, bool]:
    # Own resting orders change with every request; what they hide shows in the next book anyway.
    return position.epoch, position.qty_e2, position.has_unknown, position.is_settled

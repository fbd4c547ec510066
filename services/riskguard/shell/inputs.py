"""Bring the bus to the core: books, executor, reconciler, and the control stream.

A malformed message is counted, logged once per kind, and changes nothing, with
one exception: a halt is a halt whatever it says.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeVar

from libs.common.bus.api import Bus, BusError, Handler, Message, Subscription
from libs.common.control.signing import stored_ms
from libs.common.messages.base import MalformedMessage, Wire, WireDecoder
from libs.common.messages.control import PermitV1, ResumeV1, parse_halt
from libs.common.messages.execution import EpochV1, OrderGroupV1, OrderV1
from libs.common.messages.health import BeatV1, StatusV1
from libs.common.messages.market import MarketV1, TopV1
from libs.common.messages.risk import LimitV1, ReconResultV1, RiskStateV1
from libs.common.observability.metrics import Metrics
from libs.common.runtime.clock import Clock
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.effects import Effect

M = TypeVar("M", bound=Wire)
Perform = Callable[[list[Effect]], None]

_VERIFY_S: Final = 5.0
_RETRY_S: Final = 0.5
_ASK_S: Final = 1.0


class Inputs:
    """Everything that the riskguard hears on the bus."""

    def __init__(  # noqa: PLR0917 - wired in one place
        self,
        core: RiskguardCore,
        bus: Bus,
        subjects: Subjects,
        clock: Clock,
        log: EventLog,
        metrics: Metrics,
        perform: Perform,
    ) -> None:
        self._core = core
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._perform = perform
        self._resumes = WireDecoder(ResumeV1)
        self._limits = WireDecoder(LimitV1)
        self._control_newest = 0
        self._stored_at: dict[int, str] = {}
        self._is_lost = False
        self.malformed = 0

    async def subscribe(self) -> None:
        """Begin to hear everything but the control stream; stored parts are read from the newest epoch on.

        Raises:
            BusUnavailable: A stream did not answer.
        """
        core, of, now = self._core, self._subjects, self._clock.mono_ns
        await self._bus.latest(of.all_of("md.top"), self._on(TopV1, lambda _, t: core.on_top(t, now())))
        await self._bus.latest(
            of.all_of("md.status"), self._on(MarketV1, lambda _, s: core.on_status(s, now()))
        )
        await self._bus.each(of.all_of("health.beat"), self._on(BeatV1, lambda _, b: core.on_beat(b, now())))
        recon = of.of("permit.recon", core.account_id)
        await self._bus.each(recon, self._on(PermitV1, lambda _, p: core.on_recon_permit(p, now())))
        for family in ("recon.clear", "recon.drift"):
            subject = of.of(family, core.account_id)
            await self._bus.each(subject, self._on(ReconResultV1, lambda _, r: core.on_recon(r, now())))
        await self._follow("exec.epoch", EpochV1, lambda m, e: core.on_epoch(e, m.sequence, _ms(m), now()))
        await self._follow("exec.group", OrderGroupV1, lambda _, g: core.on_group(g))
        since = core.leader.epoch_sequence or 1
        await self._follow("order", OrderV1, lambda _, o: core.on_order(o, now()), from_sequence=since)

    async def ask_executor(self) -> None:
        """Ask the executor for its status about once a second, for ever; silence is its own evidence."""
        decoder = WireDecoder(StatusV1)
        while True:
            await asyncio.sleep(_ASK_S)
            try:
                answer = await self._bus.request(self._subjects.of("svc", "executor", "status"), b"")
                status = decoder.decode(answer.data)
            except BusError:
                continue
            except MalformedMessage as e:
                self.malformed += 1
                self._log.once("executor_status", "MALFORMED", str(e))
                continue
            self._perform(self._core.on_said(status, self._clock.mono_ns()))

    async def memory(self) -> None:
        """Read what was stored of this day, trying until it can be read; the permit is closed meanwhile."""
        decoder, subject = WireDecoder(RiskStateV1), self._subjects.of("risk.state", self._core.account_id)
        while True:
            try:
                state = await self._stored_state(decoder, subject)
            except (BusError, MalformedMessage) as e:
                self._log.once("state_unreadable", "BUS_ERROR", str(e), level="ERROR")
                self._perform(self._core.on_memory_unreadable(str(e)))
                await asyncio.sleep(_RETRY_S)
                continue
            self._perform(self._core.on_memory(state))
            return

    async def _stored_state(self, decoder: WireDecoder[RiskStateV1], subject: str) -> RiskStateV1 | None:
        """Return the newest state, or the one before it of the same day where the newest cannot be read.

        Raises:
            BusError: The stream did not answer.
            MalformedMessage: What was stored today cannot be read, and nothing else of today is there.
        """
        newest = await self._bus.last(subject)
        if newest is None:
            return None
        try:
            return decoder.decode(newest.data)
        except MalformedMessage as e:
            self._count_malformed(newest, "RiskStateV1", e)
            today_ms, found = self._core.account.day_ms, None
            async for message in self._bus.read(subject):
                with contextlib.suppress(MalformedMessage):
                    found = decoder.decode(message.data)
            is_of_today = found is not None and found.day_ms == today_ms
            if not is_of_today and _ms(newest) >= today_ms:
                raise
            return found

    async def control(self) -> None:
        """Follow the control stream for ever, and check every few seconds that nothing was missed.

        The live subscription on the core subject comes first: a halt that arrives
        while the stream is being read must not fall between the two.
        """
        takes = {
            self._subjects.all_of("ctl.halt"): self._on_halt,
            self._subjects.all_of("ctl.resume"): self._on_resume,
            self._subjects.all_of("ctl.limit"): self._on_limit,
        }
        await self._bus.each(self._subjects.all_of("ctl.halt"), self._on_heard)
        following: list[Subscription] = []
        while True:
            try:
                if why := await self._why_other():
                    # Not the stream that we knew. What follows it waits for sequences that may never come.
                    self._control_newest = 0
                    self._stored_at.clear()
                    self._is_lost = False
                    self._perform(self._core.on_control_lost(why, self._clock.mono_ns()))
                    for old in following:
                        await old.stop()
                    following.clear()
                await self._read_control(takes)
                if self._is_lost:
                    continue
                if not following:
                    following = [
                        await self._bus.follow(pattern, take, from_sequence=self._control_newest + 1)
                        for pattern, take in takes.items()
                    ]
                self._perform(self._core.on_control_readable())
            except BusError as e:
                self._perform(self._core.on_control_unreadable(f"control stream unreadable: {e}"))
                await asyncio.sleep(_RETRY_S)
                continue
            await asyncio.sleep(_VERIFY_S)

    async def _why_other(self) -> str:
        """Return why this is not the stream that was read before, or an empty text.

        It ends before a record that was read, or has another record in its place.
        """
        known = self._control_newest
        newest = await self._bus.last_each(f"{self._subjects.root}.ctl.>")
        end = max((message.sequence for message in newest), default=0)
        if end >= known and not self._is_lost and not any(self._is_other(message) for message in newest):
            return ""
        return (
            f"the control stream is another one, {known} was read and {end} is its end: lost, or an old copy"
        )

    async def _read_control(self, takes: Mapping[str, Handler]) -> None:
        for pattern, take in takes.items():
            async for message in self._bus.read(pattern):
                await take(message)

    def _is_other(self, message: Message) -> bool:
        return self._stored_at.get(message.sequence, message.stored_at) != message.stored_at

    def _read_to(self, message: Message) -> bool:
        """Return whether the record belongs to the stream that we know; one that does not closes at once."""
        if self._is_other(message):
            self._is_lost = True
            why = f"the control stream is another one: its record {message.sequence} is new"
            self._perform(self._core.on_control_unreadable(why))
            return False
        self._control_newest = max(self._control_newest, message.sequence)
        self._stored_at[message.sequence] = message.stored_at
        return True

    async def _on_halt(self, message: Message) -> None:
        if not self._read_to(message):
            return
        halt = parse_halt(message.data)
        self._perform(self._core.on_halt(message.sequence, self._source(message), halt, message.stored_at))

    async def _on_heard(self, message: Message) -> None:
        self._perform(self._core.on_heard(self._source(message), parse_halt(message.data)))

    async def _on_resume(self, message: Message) -> None:
        if not self._read_to(message):
            return
        try:
            resume = self._resumes.decode(message.data)
        except MalformedMessage as e:
            self._count_malformed(message, "ResumeV1", e)
            return
        stored, now_ms = stored_ms(message.stored_at), self._clock.now_ns() // 1_000_000
        self._perform(self._core.on_resume(message.sequence, resume, stored, now_ms))

    async def _on_limit(self, message: Message) -> None:
        if not self._read_to(message):
            return
        try:
            limit = self._limits.decode(message.data)
        except MalformedMessage as e:
            self._core.changes.fold.skip(message.sequence)
            self._count_malformed(message, "LimitV1", e)
            return
        stored, now_ms = stored_ms(message.stored_at), self._clock.now_ns() // 1_000_000
        self._perform(self._core.on_limit(message.sequence, limit, stored, now_ms))

    def _source(self, message: Message) -> str:
        try:
            return ".".join(self._subjects.keys_of("ctl.halt", message.subject))
        except ValueError:
            # A subject that nobody of ours wrote still halts.
            return message.subject

    async def _follow(
        self,
        family: str,
        kind: type[M],
        take: Callable[[Message, M], list[Effect]],
        *,
        from_sequence: int = 1,
    ) -> None:
        pattern, handler = self._subjects.all_of(family), self._on(kind, take)
        newest = from_sequence - 1
        async for message in self._bus.read(pattern, from_sequence=from_sequence):
            await handler(message)
            newest = message.sequence
        await self._bus.follow(pattern, handler, from_sequence=newest + 1)

    def _on(self, kind: type[M], take: Callable[[Message, M], list[Effect]]) -> Handler:
        decoder = WireDecoder(kind)

        async def handle(message: Message) -> None:
            try:
                decoded = decoder.decode(message.data)
            except MalformedMessage as e:
                self._count_malformed(message, kind.__name__, e)
                return
            account = getattr(decoded, "account", self._core.account_id)
            if account == self._core.account_id:
                self._perform(take(message, decoded))

        return handle

    def _count_malformed(self, message: Message, kind: str, error: MalformedMessage) -> None:
        self.malformed += 1
        self._metrics.count("malformed_total", source="bus", kind=kind)
        self._log.once(kind, "MALFORMED", str(error), subject=message.subject)


def _ms(message: Message) -> int:
    """Return when the stream stored a message, Unix milliseconds."""
    return int(datetime.fromisoformat(message.stored_at).timestamp() * 1_000) if message.stored_at else 0

"""Follow the control plane: read it whole, follow it, read it again, and store what it missed.

A halt heard on the core subject that the stream has not shown for a second is
appended in the executor's own name, so that a resume can name it. Every few seconds
the newest records are read from the stream's leader; if they cannot be, the control
plane is unreadable, which is closed. A stream that ends before a record that was read,
or has another record in its place, is another stream, lost or restored from an old copy:
that halts.

A resume and a raised limit count only once they are verified (`libs/common/control`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import msgspec

from libs.common.bus.api import AppendRefused, Bus, BusUnavailable, Message, OutcomeUnknown, Subscription
from libs.common.control.admission import Admission
from libs.common.control.latch import LatchFold, LatchState
from libs.common.control.limits import LimitFold
from libs.common.control.signing import stored_ms
from libs.common.messages.base import MalformedMessage, WireDecoder, encode
from libs.common.messages.control import HaltV1, ResumeV1, parse_halt
from libs.common.messages.risk import LimitV1
from libs.common.runtime.latch_file import UNSTORED
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.executor.core.halting import Halting

_RESUME = WireDecoder(ResumeV1)
_LIMIT = WireDecoder(LimitV1)
_REREAD_S = 5.0
_STORE_AFTER_S = 1.0
_FAMILIES = ("ctl.halt", "ctl.resume", "ctl.limit")


class ControlWatch:
    """Keeps the latch fold true and hands its word to the core."""

    def __init__(
        self,
        *,
        bus: Bus,
        subjects: Subjects,
        halting: Halting,
        on_latch: Callable[[LatchState], None],
        log: EventLog,
        run: str,
        admission: Admission,
        now_ms: Callable[[], int],
        limits: LimitFold,
        on_limits: Callable[[], None] = lambda: None,
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._halting = halting
        self._on_latch = on_latch
        self._log = log
        self._run_id = run
        self._admission = admission
        self._now_ms = now_ms
        self._limits = limits
        self._on_limits = on_limits
        self._stored = 0
        self._following: list[Subscription] = []
        self._stored_at: dict[int, str] = {}
        self._is_lost = False
        self._is_whole = False
        """Whether every record was read: the newest of each source say nothing of an older, wider halt."""
        self._read_to = 0
        """Up to where every record was read; what follows is followed from there."""
        self._refused: set[int] = set()
        self._heard_before: tuple[tuple[str, HaltV1], ...] = ()
        self.fold = LatchFold()
        self.sequence = 0

    def on_heard(self, subject: str, data: bytes, way: str = "listener") -> None:
        """Take a halt from the core subject; ``way`` names the connection that it came by."""
        self.fold.on_heard(self._source(subject), parse_halt(data), way)
        self._tell()

    async def read_all(self) -> None:
        """Read every record; on failure the latch is unreadable, and that is told."""
        try:
            async for message in self._bus.read(f"{self._subjects.root}.ctl.>"):
                self._take(message)
        except (BusUnavailable, OutcomeUnknown) as e:
            self.fold.unreadable(f"control stream unreadable: {e}")
        else:
            if not self._is_lost:
                self._is_whole, self._read_to = True, self.sequence
                self.fold.readable()
        self._tell()

    async def run(self) -> None:
        """Follow for ever."""
        await self._follow()
        since_read_s = 0.0
        while True:
            await asyncio.sleep(_STORE_AFTER_S)
            since_read_s += _STORE_AFTER_S
            await self.look()
            if since_read_s >= _REREAD_S or self.fold.state().source == "unreadable":
                since_read_s = 0.0
                await self.read_newest()
            if len(self._following) < len(_FAMILIES):
                await self._follow_again()
            self.release()

    def release(self) -> bool:
        """Let in the resumes whose delay is over; return whether there was one."""
        is_due = self._admission.release(self.fold, self._now_ms())
        if is_due:
            self._tell()
        return is_due

    async def _follow(self) -> None:
        while self._following:
            await self._following.pop().stop()
        # A subscription each: the server grants families, not the whole control plane.
        for family in _FAMILIES:
            pattern = self._subjects.all_of(family)
            self._following.append(
                await self._bus.follow(pattern, self._on_record, from_sequence=self._read_to + 1)
            )

    async def _follow_again(self) -> None:
        # Where it fails, the next look tries again.
        with contextlib.suppress(BusUnavailable, OutcomeUnknown):
            await self._follow()

    async def answer(self, message: Message, word: dict[str, object]) -> None:
        """Answer a halt that asks for our own word."""
        with contextlib.suppress(BusUnavailable):
            await self._bus.respond(message, msgspec.json.encode(word))

    async def _on_record(self, message: Message) -> None:
        self._take(message)
        self._tell()

    def _take(self, message: Message) -> None:
        if self._is_other(message):
            self._is_lost = True
            self.fold.unreadable(f"the control stream is another one: its record {message.sequence} is new")
            return
        self.sequence = max(self.sequence, message.sequence)
        self._stored_at[message.sequence] = message.stored_at
        halts, resumes = self._subjects.all_of("ctl.halt")[:-1], self._subjects.all_of("ctl.resume")[:-1]
        if message.subject.startswith(halts):
            source, halt = self._source(message.subject), parse_halt(message.data)
            self.fold.on_halt(message.sequence, source, halt, message.stored_at)
        elif message.subject.startswith(resumes):
            self._take_resume(message)
        elif message.subject.startswith(self._subjects.all_of("ctl.limit")[:-1]):
            self._take_limit(message)

    def _take_resume(self, message: Message) -> None:
        stored = stored_ms(message.stored_at)
        try:
            resume = _RESUME.decode(message.data)
            refusal = self._admission.resume(self.fold, message.sequence, resume, stored, self._now_ms())
        except MalformedMessage as e:
            refusal = str(e)
        if refusal:
            self._refuse("RESUME_REFUSED", message, refusal)

    # Read again every few seconds, and by two ways: each record counts once, in whatever order they come.
    def _take_limit(self, message: Message) -> None:
        stored, is_new = stored_ms(message.stored_at), False
        try:
            limit = _LIMIT.decode(message.data)
            is_new, refusal = self._admission.limit(self._limits, message.sequence, limit, stored)
        except MalformedMessage as e:
            refusal = str(e)
            self._limits.skip(message.sequence)
        if is_new:
            self._on_limits()
        if refusal:
            self._refuse("LIMIT_REFUSED", message, refusal)

    def _refuse(self, event: str, message: Message, refusal: str) -> None:
        if message.sequence not in self._refused:
            self._refused.add(message.sequence)
            self._log.event(event, refusal, level="WARNING", sequence=message.sequence)

    async def read_newest(self) -> None:
        """Read the newest record of each source; on failure the latch is unreadable, and that is told."""
        if not (self._is_whole or self._is_lost):
            await self.read_all()
            self._on_limits()
            return
        known = self.sequence
        try:
            newest = await self._bus.last_each(f"{self._subjects.root}.ctl.>")
        except (BusUnavailable, OutcomeUnknown) as e:
            self.fold.unreadable(f"control stream unreadable: {e}")
        else:
            now = max((message.sequence for message in newest), default=0)
            if self._is_lost or now < known or any(self._is_other(message) for message in newest):
                await self._begin_again(known, now)
                return
            for message in newest:
                self._take(message)
            self.fold.readable()
        self._tell()

    def _is_other(self, message: Message) -> bool:
        return self._stored_at.get(message.sequence, message.stored_at) != message.stored_at

    async def _begin_again(self, was: int, now: int) -> None:
        """Halt and read everything anew: it is not the stream that we knew, and what it lacks is unknown."""
        why = f"the control stream is another one, {was} was read and {now} is its end: lost, or an old copy"
        self._log.event("HALT", why, level="CRITICAL")
        self.fold, self.sequence, self._read_to = LatchFold(), 0, 0
        self._stored_at.clear()
        self._is_lost = self._is_whole = False
        self._admission.forget()
        self._refused.clear()
        self._limits.forget()
        self.fold.on_heard("executor", HaltV1(reason=why, trigger="stream_lost", by="executor"))
        self._tell()
        await self.read_all()
        self._on_limits()
        if self._following:
            await self._follow_again()

    async def look(self) -> None:
        """Store what had been heard at the last look already: what is younger may be on its way.

        A copy beside the stream's own would be a newer halt than the one that a resume names.
        """
        lasting = [one for one in self.fold.heard if one in self._heard_before]
        self._heard_before = self.fold.heard
        if lasting or not self.fold.heard:
            await self.store_heard(lasting)

    async def store_heard(self, lasting: Sequence[tuple[str, HaltV1]] | None = None) -> None:
        """Store in our own name what the stream never got (or these of it), so that a resume can name it."""
        for source, halt in self.fold.heard if lasting is None else lasting:
            if (source, halt) not in self.fold.heard:
                continue  # its copy came while another one was being stored
            # Another one may be heard meanwhile, in the same words or in others: that one is not stored.
            count = self.fold.heard_count(source, halt)
            if await self._store(f"heard from {source}: {halt.reason}", halt):
                self.fold.stored_for(source, halt, count)
                self._tell()
        if self._halting.word.halt_sequence == UNSTORED and not self.fold.heard:
            word = self._halting.word
            sequence = await self._store(
                f"local latch: {word.reason}", HaltV1(reason=word.reason, level=word.level)
            )
            if sequence:
                self._halting.on_stored(sequence)
                self._tell()

    async def _store(self, reason: str, halt: HaltV1) -> int:
        self._stored += 1
        stored = HaltV1(
            reason=reason,
            level=halt.level,
            scope=halt.scope,
            scope_key=halt.scope_key,
            trigger="restored",
            by="executor",
        )
        try:
            ack = await self._bus.append(
                self._subjects.of("ctl.halt", "executor"),
                encode(stored),
                msg_id=f"halt-{self._run_id}-{self._stored}",
            )
        except (BusUnavailable, OutcomeUnknown, AppendRefused):
            return 0
        self.fold.on_halt(ack.sequence, "executor", stored, None)
        self._tell()
        return ack.sequence

    def _source(self, subject: str) -> str:
        try:
            return self._subjects.keys_of("ctl.halt", subject)[0]
        except ValueError:
            return subject  # a key that nobody of ours wrote halts like any other

    def _tell(self) -> None:
        self._on_latch(self.fold.state())

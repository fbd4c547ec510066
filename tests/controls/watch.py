"""What is seen of the gate while something is provoked: the executor's own word, permits, halts, records.

The executor is asked every few milliseconds, so that its first "closed" is known to 10 ms; a
halt's moment is its own monotonic clock, which one machine shares. Permits, halts and the
riskguard's audit records are heard on the bus.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from libs.common.bus.api import BusError, Message
from libs.common.bus.nats import NatsBus
from libs.common.messages.base import MalformedMessage, WireDecoder
from libs.common.messages.control import HaltV1, PermitV1, parse_halt
from libs.common.messages.health import StatusV1
from libs.common.messages.risk import AuditRiskV1
from libs.common.subjects import Subjects
from tests.controls.played import ACCOUNT

_POLL_S: Final = 0.01
_ANSWER_S: Final = 0.5
FIRED: Final = "trigger_fired"


@dataclass(frozen=True)
class Seen:
    """One thing and the moment, monotonic seconds."""

    at_s: float
    what: Any


class Watch:
    """Remembers changes since :meth:`forget`."""

    def __init__(self, bus: NatsBus, subjects: Subjects) -> None:
        self._bus = bus
        self._subjects = subjects
        self._status = WireDecoder(StatusV1)
        self._permit = WireDecoder(PermitV1)
        self._audit = WireDecoder(AuditRiskV1)
        self.is_polling = False
        self.newest: StatusV1 | None = None
        self.newest_permit: PermitV1 | None = None
        self.gate: list[Seen] = []
        """Statuses of the executor in which its state, or whether it has reasons, changed."""
        self.permits: list[Seen] = []
        """Permits of the riskguard that opened or closed, or closed for other reasons."""
        self.halts: list[Seen] = []
        """Stored and heard halts of every source: ``(source, HaltV1)``."""
        self.fired: list[Seen] = []
        """Records of `AuditRiskV1` that say ``trigger_fired``."""

    def forget(self) -> None:
        """Begin anew."""
        for seen in (self.gate, self.permits, self.halts, self.fired):
            seen.clear()

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        of = self._subjects
        await self._bus.each(of.of("permit.risk", ACCOUNT), self._on_permit)
        await self._bus.each(of.all_of("ctl.halt"), self._on_halt)
        await self._bus.each(of.of("audit.risk", ACCOUNT), self._on_audit)
        while True:
            await asyncio.sleep(_POLL_S if self.is_polling else 0.1)
            if self.is_polling:
                await self._poll()

    # Answers -----------------------------------------------------------------------------------------

    def gate_closed_s(self, text: str) -> float | None:
        """Return when the executor's gate first said that it is closed for this reason; None while it is not.

        A gate that other conditions closed before proves nothing about the one that is looked at.
        """
        closed = (
            seen.at_s
            for seen in self.gate
            if seen.what.state != "running" and any(text in reason for reason in seen.what.reasons)
        )
        return next(closed, None)

    def permit_closed(self) -> Seen | None:
        """Return the riskguard's first closed permit."""
        return next((seen for seen in self.permits if not seen.what.is_open), None)

    def halted(self) -> Seen | None:
        """Return the first halt, whoever's."""
        return self.halts[0] if self.halts else None

    # Below: how --------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        with contextlib.suppress(BusError, MalformedMessage):
            subject = self._subjects.of("svc", "executor", "status")
            answer = await self._bus.request(subject, b"", timeout_s=_ANSWER_S)
            status = self._status.decode(answer.data)
            last = self.gate[-1].what if self.gate else None
            if last is None or (last.state, last.reasons) != (status.state, status.reasons):
                self.gate.append(Seen(time.monotonic(), status))
            self.newest = status

    async def _on_permit(self, message: Message) -> None:
        permit = self._permit.decode(message.data)
        last = self.permits[-1].what if self.permits else None
        if last is None or (last.is_open, last.reasons) != (permit.is_open, permit.reasons):
            self.permits.append(Seen(message.received_ns / 1e9, permit))
        self.newest_permit = permit

    async def _on_halt(self, message: Message) -> None:
        source = ".".join(self._subjects.keys_of("ctl.halt", message.subject))
        halt: HaltV1 = parse_halt(message.data)
        self.halts.append(Seen(message.received_ns / 1e9, (source, halt)))

    async def _on_audit(self, message: Message) -> None:
        record = self._audit.decode(message.data)
        if record.event_type == FIRED:
            self.fired.append(Seen(message.received_ns / 1e9, record))

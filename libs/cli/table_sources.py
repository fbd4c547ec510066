"""Where the audit tables come from: CONTROL, EXEC and AUDIT, read whole, asked of no running service."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from libs.cli.tables import Row, Stored, kill_switch_events, orphaned_orders, trade_audits
from libs.common.bus.api import Bus, Message
from libs.common.messages.base import MalformedMessage, WireDecoder
from libs.common.messages.control import HaltV1, ResumeV1, parse_halt
from libs.common.messages.execution import FillV1, OrderV1
from libs.common.messages.risk import OrphanedOrderV1
from libs.common.messages.target import DecisionBatchV1, TargetV1
from libs.common.subjects import Stream, Subjects

_RESUME: Final = WireDecoder(ResumeV1)
_ORDER: Final = WireDecoder(OrderV1)
_FILL: Final = WireDecoder(FillV1)
_ORPHAN: Final = WireDecoder(OrphanedOrderV1)
_DECISIONS: Final = WireDecoder(DecisionBatchV1)


async def read_table(bus: Bus, subjects: Subjects, name: str) -> list[Row]:
    """Return the rows of one of `tables.TABLES`.

    Raises:
        BusError: A stream did not answer.
    """
    if name == "orphaned-orders":
        return orphaned_orders(await read_orphans(bus, subjects))
    records = [item async for item in _execution(bus, subjects)]
    if name == "trade-audits":
        return trade_audits(records, await _targets(bus, subjects))
    return kill_switch_events([item async for item in _control(bus, subjects)], records)


async def read_orphans(bus: Bus, subjects: Subjects) -> list[OrphanedOrderV1]:
    """Return the register of orphans, oldest record first; garbage is no row."""
    rows: list[OrphanedOrderV1] = []
    async for message in bus.read(subjects.all_of("audit.recon")):
        with contextlib.suppress(MalformedMessage):
            rows.append(_ORPHAN.decode(message.data))
    return rows


async def _control(bus: Bus, subjects: Subjects) -> AsyncIterator[Stored]:
    halts, resumes = _prefix(subjects, "ctl.halt"), _prefix(subjects, "ctl.resume")
    async for message in bus.read_all(Stream.CONTROL):
        if message.subject.startswith(halts):
            yield _stored(message, parse_halt(message.data))  # whatever it says, it halted
        elif message.subject.startswith(resumes):
            with contextlib.suppress(MalformedMessage):
                yield _stored(message, _RESUME.decode(message.data))


async def _execution(bus: Bus, subjects: Subjects) -> AsyncIterator[Stored]:
    orders, fills = _prefix(subjects, "order"), _prefix(subjects, "fill")
    async for message in bus.read_all(Stream.EXEC):
        with contextlib.suppress(MalformedMessage):
            if message.subject.startswith(orders):
                yield _stored(message, _ORDER.decode(message.data))
            elif message.subject.startswith(fills):
                yield _stored(message, _FILL.decode(message.data))


async def _targets(bus: Bus, subjects: Subjects) -> dict[str, TargetV1]:
    targets: dict[str, TargetV1] = {}
    async for message in bus.read(subjects.all_of("audit.decision")):
        with contextlib.suppress(MalformedMessage):
            targets.update({one.decision_id: one for one in _DECISIONS.decode(message.data).targets})
    return targets


def _stored(message: Message, record: HaltV1 | ResumeV1 | OrderV1 | FillV1) -> Stored:
    return Stored(message.sequence, _stamp(message.stored_at), record)


def _stamp(text: str) -> str:
    """Return a server's time in one form, so that texts compare as times do; empty stays empty."""
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds")


def _prefix(subjects: Subjects, family: str) -> str:
    return subjects.all_of(family).removesuffix(">")

"""Everything that the streams hold about one order or one decision, from the book to the last fill.

EXEC has intents, results, order states and fills; AUDIT has the decision with its stages and
reasons, and what the gate refused; CONTROL has the halts in between. An id given by a person
may be ours, the venue's, or a decision's: whatever is found names the others, so EXEC is read
once for a decision or an id of ours and twice for the venue's. Nothing is asked of a running
service: a trace works when all of them are dead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from libs.common.bus.api import Bus, Message
from libs.common.domain.ids import parse_client_order_id
from libs.common.messages.base import MalformedMessage, Wire, WireDecoder
from libs.common.messages.control import ResumeV1, parse_halt
from libs.common.messages.execution import (
    AuditExecV1,
    EpochV1,
    FillV1,
    IntentV1,
    OrderV1,
    ResultV1,
)
from libs.common.messages.target import DecisionBatchV1, TargetV1
from libs.common.subjects import Stream, Subjects

_DECODERS: Final[dict[str, WireDecoder[Any]]] = {
    "exec.epoch": WireDecoder(EpochV1),
    "exec.intent": WireDecoder(IntentV1),
    "exec.result": WireDecoder(ResultV1),
    "order": WireDecoder(OrderV1),
    "fill": WireDecoder(FillV1),
    "audit.exec": WireDecoder(AuditExecV1),
    "audit.decision": WireDecoder(DecisionBatchV1),
}
_NS_PER_S: Final = 1_000_000_000
_FIRST: Final = {"book": 0, "decision": 1}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    at: str
    """When its record was stored, RFC 3339: the server's one clock for all streams."""
    what: str
    """``book``, ``decision``, ``intent``, ``result``, ``order``, ``fill``, ``audit``, ``halt`` …"""
    stream: str
    sequence: int
    client_order_id: str = ""
    detail: dict[str, Any]


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the id that was asked for."""

    asked: str
    decision_ids: tuple[str, ...]
    client_order_ids: tuple[str, ...]
    order_ids: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass
class Names:
    """Every id that belongs to what is traced; grows while reading.

    Attributes:
        is_decision: All orders of a decision are traced; else one order, whose siblings of the same
            decision are not its story.
    """

    is_decision: bool = False
    decisions: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)

    def needles(self) -> list[bytes]:
        """Return the bytes that a record of ours must contain one of."""
        return [msgspec.json.encode(name) for name in (*self.decisions, *self.clients, *self.orders)]

    def has(self, *, decision: str = "", client: str = "", order: str = "") -> bool:
        """Return whether one of the ids is one of ours."""
        is_of_decision = self.is_decision and decision in self.decisions
        return is_of_decision or client in self.clients or order in self.orders

    def learn(self, client: str, order: str) -> None:
        """Take the two names of one order."""
        self.clients |= {client} - {""}
        self.orders |= {order} - {""}


async def trace(bus: Bus, subjects: Subjects, asked: str) -> Trace:
    """Return what the streams hold about an order (either id) or a decision.

    Raises:
        BusUnavailable: A stream could not be read; part of a trace is no trace.
    """
    names = _named(asked)
    if names.orders:
        # The intent came before the venue gave its id: the first pass only learns ours.
        async for _ in _exec(bus, subjects, names):
            pass
    found = [step async for step in _exec(bus, subjects, names)]
    found += [step async for step in _audit(bus, subjects, names)]
    if found:
        stored = sorted(_ns(step.at) for step in found if step.what not in _FIRST)
        span = (stored[0], stored[-1]) if stored else (0, 0)
        found += [step async for step in _between(bus, subjects, span)]
    return Trace(
        asked=asked,
        decision_ids=tuple(sorted(names.decisions)),
        client_order_ids=tuple(sorted(names.clients)),
        order_ids=tuple(sorted(names.orders)),
        steps=tuple(_in_order(found)),
    )


def _named(asked: str) -> Names:
    if parse_client_order_id(asked) is not None:
        return Names(clients={asked})
    if ":" in asked:
        return Names(is_decision=True, decisions={asked})
    return Names(orders={asked})


def _in_order(steps: list[Step]) -> Iterable[Step]:
    """Return the steps by time: a decision by its book's, but never after what it led to.

    Its record is stored in batches, after the orders that came of it; its book has the
    exchange's time, whose clock is not ours.
    """
    led: dict[str, int] = {}
    for step in steps:
        if step.what == "intent":
            decision, at_ns = str(step.detail["decision_id"]), _ns(step.at)
            led[decision] = min(at_ns, led.get(decision, at_ns))

    def key(step: Step) -> tuple[int, int, str, int]:
        rank = _FIRST.get(step.what)
        if rank is None:
            return _ns(step.at), len(_FIRST), step.stream, step.sequence
        as_of_ns = int(step.detail["as_of_ms"]) * 1_000_000
        return min(as_of_ns, led.get(str(step.detail["decision_id"]), as_of_ns)), rank, "", step.sequence

    return sorted(steps, key=key)


async def _exec(bus: Bus, subjects: Subjects, names: Names) -> AsyncIterator[Step]:
    async for message in bus.read_all(Stream.EXEC):
        family = _family(subjects, message.subject)
        if family not in _DECODERS:
            continue
        if not any(needle in message.data for needle in names.needles()):
            continue
        record = _decoded(family, message)
        for what, client, detail in _told(record, names):
            yield _step(message, Stream.EXEC, what, detail, client)


def _told(record: Wire | None, names: Names) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield what a record of EXEC says about what is traced: kind, our order id, fields."""
    match record:
        case IntentV1():
            for item in record.items:
                if names.has(decision=item.decision_id, client=item.client_order_id, order=item.order_id):
                    names.decisions |= {item.decision_id} - {""}
                    names.learn(item.client_order_id, item.order_id)
                    batch = {"epoch": record.epoch, "batch": record.batch, "issued_ns": record.issued_ns}
                    yield "intent", item.client_order_id, batch | _fields(item)
        case ResultV1():
            for answer in record.items:
                if names.has(client=answer.client_order_id, order=answer.order_id):
                    names.learn(answer.client_order_id, answer.order_id)
                    batch = {
                        "epoch": record.epoch,
                        "batch": record.batch,
                        "http_status": record.status,
                        "latency_us": record.latency_us,
                    }
                    yield "result", answer.client_order_id, batch | _fields(answer)
        case OrderV1() | FillV1():
            ids = {"decision": record.decision_id, "client": record.client_order_id}
            if names.has(**ids, order=record.order_id):
                names.decisions |= {record.decision_id} - {""}
                names.learn(record.client_order_id, record.order_id)
                what = "fill" if isinstance(record, FillV1) else "order"
                yield what, record.client_order_id, _fields(record)
        case _:
            return


async def _audit(bus: Bus, subjects: Subjects, names: Names) -> AsyncIterator[Step]:
    needles = names.needles()
    async for message in bus.read_all(Stream.AUDIT):
        family = _family(subjects, message.subject)
        if family not in _DECODERS or not any(needle in message.data for needle in needles):
            continue
        record = _decoded(family, message)
        if isinstance(record, DecisionBatchV1):
            for target in record.targets:
                if target.decision_id in names.decisions:
                    yield _step(message, Stream.AUDIT, "book", _book(target))
                    yield _step(message, Stream.AUDIT, "decision", _decision(target))
        elif isinstance(record, AuditExecV1) and names.has(
            decision=record.decision_id, client=record.client_order_id, order=record.order_id
        ):
            yield _step(message, Stream.AUDIT, "audit", _fields(record), record.client_order_id)


async def _between(bus: Bus, subjects: Subjects, span: tuple[int, int]) -> AsyncIterator[Step]:
    """Yield what stopped or moved everything while the order lived: halts, resumes, new leaders."""
    async for message in bus.read_all(Stream.CONTROL):
        if not span[0] <= _ns(message.stored_at) <= span[1]:
            continue
        family, source = _family(subjects, message.subject), message.subject.rpartition(".")[2]
        if family == "ctl.halt":
            halt = parse_halt(message.data)
            yield _step(message, Stream.CONTROL, "halt", {"source": source} | _fields(halt))
        elif family == "ctl.resume":
            try:
                resume = WireDecoder(ResumeV1).decode(message.data)
            except MalformedMessage:
                continue
            detail = {"source": source, "halt_sequence": resume.halt_sequence, "by": resume.by}
            yield _step(message, Stream.CONTROL, "resume", detail | {"reason": resume.reason})
    async for message in bus.read(subjects.all_of("exec.epoch")):
        record = _decoded("exec.epoch", message)
        if record is not None and span[0] <= _ns(message.stored_at) <= span[1]:
            detail = {"account": record.account, "number": record.number, "holder": record.holder}
            yield _step(message, Stream.EXEC, "epoch", detail)


def _book(target: TargetV1) -> dict[str, Any]:
    return {
        "decision_id": target.decision_id,
        "market": target.market,
        "producer": target.book_producer,
        "sequence": target.book_sequence,
        "venue_ms": target.book_venue_ms,
        "as_of_ms": target.book_as_of_ms,
    }


def _decision(target: TargetV1) -> dict[str, Any]:
    return {
        "decision_id": target.decision_id,
        "market": target.market,
        "as_of_ms": target.book_as_of_ms,
        "strategy": target.strategy,
        "config_revision": target.config_revision,
        "fair_e4": target.fair_e4,
        "position": {"epoch": target.position_epoch, "sequence": target.position_sequence},
        "stages": [_fields(stage) for stage in target.stages],
        "quotes": [_fields(quote) for quote in target.quotes],
        "silences": [_fields(silence) for silence in target.silences],
    }


def _step(message: Message, stream: Stream, what: str, detail: dict[str, Any], client: str = "") -> Step:
    return Step(
        at=message.stored_at,
        what=what,
        stream=stream.value,
        sequence=message.sequence,
        client_order_id=client,
        detail=detail,
    )


def _decoded(family: str, message: Message) -> Any:
    try:
        return _DECODERS[family].decode(message.data)
    except MalformedMessage:
        return None  # garbage is no record of ours; who reads the journal to trade counts and reports it


def _family(subjects: Subjects, subject: str) -> str:
    """Return the family of a subject, which has one word or, where it has a stream's name first, two."""
    words = subject.removeprefix(f"{subjects.root}.").split(".")
    return ".".join(words[: 2 if words[0] in ("exec", "audit", "ctl") else 1])


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(struct)
    return fields


def _ns(text: str) -> int:
    """Return an RFC 3339 time of the server, whose zeros at the end are left out, in Unix nanoseconds."""
    if not text:
        return 0
    whole, _, part = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * _NS_PER_S + int(f"{part:0<9}"[:9])

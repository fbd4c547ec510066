"""The bus without a server: the same promises in one process, in a repeatable order.

`MemoryBroker` is the server's part and synchronous, so that a seeded world can
use it without asyncio; `MemoryBus` is one client of it with the interface of
`api.py`. It imitates what the real server was measured to do, the unpleasant
parts included: core subscribers hear a message that the stream refuses, a stale
fence is refused even for a retry of what landed, and a request to a captured
subject is answered by the stream first.

Faults are attributes: ``bus.is_connected``, ``bus.echo_age_ns``,
``broker.is_full``, ``broker.acks_to_lose``.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import msgspec

from libs.common.bus.api import (
    NO_HEADERS,
    Ack,
    AppendRefused,
    BusUnavailable,
    Fence,
    Handler,
    Message,
    OutcomeUnknown,
)
from libs.common.bus.inbox import Delivery, Inbox, Line, Slots
from libs.common.bus.layout import STREAMS, config_stream, config_subject, stream_of
from libs.common.bus.match import matches
from libs.common.env import Env
from libs.common.runtime.clock import Clock, SystemClock
from libs.common.runtime.context import travelling_headers
from libs.common.subjects import Stream, Subjects

EACH_LIMIT: Final = 65_536
MESSAGE_ID: Final = "Nats-Msg-Id"
ERROR_CODE: Final = "Nats-Service-Error-Code"
ERROR_TEXT: Final = "Nats-Service-Error"
_DUPLICATE_WINDOW_NS: Final = 120 * 1_000_000_000


@dataclass(slots=True)
class _StoredStream:
    """One stream: messages by sequence, the newest of each subject, recent message ids."""

    name: str
    subjects: tuple[str, ...]
    window_ns: int
    messages: list[Message] = field(default_factory=list)
    last: dict[str, Message] = field(default_factory=dict)
    ids: dict[str, tuple[int, int]] = field(default_factory=dict)

    def newest(self, pattern: str) -> Message | None:
        """Return the newest message under the pattern."""
        if "*" not in pattern and ">" not in pattern:
            return self.last.get(pattern)
        found = [message for subject, message in self.last.items() if matches(pattern, subject)]
        return max(found, key=lambda message: message.sequence, default=None)


@dataclass(slots=True)
class _Listener:
    """One core subscription."""

    pattern: str
    queue: str | None
    take: Callable[[Message], None]


class MemoryBroker:
    """The server: subjects, queue groups, streams. Synchronous and deterministic."""

    def __init__(self, env: Env = Env.SIM, clock: Clock | None = None) -> None:
        self.subjects = Subjects(env)
        self.clock: Clock = clock or SystemClock()
        self.is_full = False
        """Streams refuse, as on a full disk; core messages still pass."""
        self.acks_to_lose = 0
        """The next appends are stored, but their acknowledgement is lost."""
        self.durables: dict[str, int] = {}
        self._listeners: list[_Listener] = []
        self._turns: dict[tuple[str, str], int] = {}
        self._followers: list[tuple[str, Callable[[Message], None]]] = []
        self._inboxes = 0
        self._streams = [
            _StoredStream(
                self.subjects.stream_name(spec.stream),
                self.subjects.stream_subjects(spec.stream),
                spec.duplicate_window_s * 1_000_000_000,
            )
            for spec in STREAMS
        ]
        self._streams.append(
            _StoredStream(config_stream(env), (config_subject(env, ">"),), _DUPLICATE_WINDOW_NS)
        )

    def publish(
        self, subject: str, data: bytes, headers: Mapping[str, str] = NO_HEADERS, reply: str | None = None
    ) -> int:
        """Deliver on core NATS and store where a stream captures it; return how many heard or stored it."""
        heard = self._deliver(subject, data, headers, reply)
        stream = self._stream_capturing(subject)
        if stream is None or self.is_full:
            return heard
        stored = self._store(stream, subject, data, headers)
        if reply is not None:
            answer = msgspec.json.encode({"stream": stream.name, "seq": stored.sequence})
            self._deliver(reply, answer, NO_HEADERS, None)
        return heard + 1

    def append(
        self, subject: str, data: bytes, *, msg_id: str, fence: Fence | None, headers: Mapping[str, str]
    ) -> Ack:
        """Store with the server's order of checks: the fence, then the message id, then space."""
        stream = self._stream_capturing(subject)
        headers = {**headers, MESSAGE_ID: msg_id}
        self._deliver(subject, data, headers, None)  # whoever listens hears it even if the stream refuses
        if stream is None:
            raise BusUnavailable(f"a subject that a stream captures, was {subject!r}")
        now_ns = self.clock.mono_ns()
        if fence is not None:
            newest = stream.newest(fence.subject)
            was = newest.sequence if newest is not None else 0
            if was != fence.sequence:
                raise AppendRefused(
                    f"newest of {fence.subject} at {fence.sequence}, was {was}", is_fence=True
                )
        seen = stream.ids.get(msg_id)
        if seen is not None and now_ns - seen[1] <= stream.window_ns:
            ack = Ack(seen[0], is_duplicate=True)
        else:
            if self.is_full:
                raise AppendRefused("space in the stream, was full", is_fence=False)
            stored = self._store(stream, subject, data, headers)
            stream.ids[msg_id] = (stored.sequence, now_ns)
            ack = Ack(stored.sequence, is_duplicate=False)
        if self.acks_to_lose > 0:
            self.acks_to_lose -= 1
            raise OutcomeUnknown(f"no acknowledgement for {subject}")
        return ack

    def stored(self, pattern: str, from_sequence: int = 1) -> list[Message]:
        """Return the stored messages under the pattern, by sequence."""
        stream = self._stream_keeping(pattern)
        return [m for m in stream.messages[max(0, from_sequence - 1) :] if matches(pattern, m.subject)]

    def newest(self, pattern: str) -> Message | None:
        """Return the newest stored message under the pattern."""
        return self._stream_keeping(pattern).newest(pattern)

    def newest_each(self, pattern: str) -> list[Message]:
        """Return the newest stored message of every subject under the pattern, by sequence."""
        last = self._stream_keeping(pattern).last
        found = [message for subject, message in last.items() if matches(pattern, subject)]
        return sorted(found, key=lambda message: message.sequence)

    def listen(self, pattern: str, queue: str | None, take: Callable[[Message], None]) -> Callable[[], None]:
        """Subscribe; the result ends it."""
        listener = _Listener(pattern, queue, take)
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def follow(self, pattern: str, take: Callable[[Message], None]) -> Callable[[], None]:
        """Hear everything newly stored under the pattern; the result ends it."""
        entry = (pattern, take)
        self._followers.append(entry)
        return lambda: self._followers.remove(entry) if entry in self._followers else None

    def new_inbox(self) -> str:
        """Return a fresh reply subject."""
        self._inboxes += 1
        return f"_INBOX.memory.{self._inboxes}"

    def _deliver(self, subject: str, data: bytes, headers: Mapping[str, str], reply: str | None) -> int:
        message = Message(subject, data, headers, reply, 0, self.clock.mono_ns())
        groups: dict[tuple[str, str], list[_Listener]] = {}
        heard = 0
        for listener in tuple(self._listeners):
            if matches(listener.pattern, subject):
                if listener.queue is None:
                    listener.take(message)
                    heard += 1
                else:
                    groups.setdefault((listener.pattern, listener.queue), []).append(listener)
        for key, members in groups.items():
            turn = self._turns.get(key, 0)
            self._turns[key] = turn + 1
            members[turn % len(members)].take(message)
            heard += 1
        return heard

    def _store(self, stream: _StoredStream, subject: str, data: bytes, headers: Mapping[str, str]) -> Message:
        number, at = len(stream.messages) + 1, datetime.fromtimestamp(self.clock.now_ns() / 1e9, UTC)
        stored_at = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        message = Message(subject, data, dict(headers), None, number, self.clock.mono_ns(), stored_at)
        stream.messages.append(message)
        stream.last[subject] = message
        for pattern, take in tuple(self._followers):
            if matches(pattern, subject):
                take(message)
        return message

    def _stream_capturing(self, subject: str) -> _StoredStream | None:
        for stream in self._streams:
            if any(matches(pattern, subject) for pattern in stream.subjects):
                return stream
        return None

    def _stream_keeping(self, pattern: str) -> _StoredStream:
        name = stream_of(self.subjects, pattern)
        for stream in self._streams:
            if stream.name == name:
                return stream
        raise BusUnavailable(f"a pattern that a stream keeps, was {pattern!r}")


class _MemorySubscription:
    """Ends one delivery and what feeds it."""

    def __init__(self, delivery: Delivery[Message], ends: Sequence[Callable[[], None]]) -> None:
        self.delivery = delivery
        self._ends = ends

    async def stop(self) -> None:
        """Stop delivery; messages in slots are dropped."""
        for end in self._ends:
            end()
        await self.delivery.stop()


class _Together:
    """Several subscriptions that end as one."""

    def __init__(self, parts: Sequence[_MemorySubscription]) -> None:
        self._parts = parts

    async def stop(self) -> None:
        """Stop them all."""
        for part in self._parts:
            await part.stop()


class MemoryBus:
    """One client of a broker. With ``is_manual`` nothing moves until :meth:`pump`."""

    def __init__(
        self,
        env: Env = Env.SIM,
        *,
        broker: MemoryBroker | None = None,
        clock: Clock | None = None,
        is_manual: bool = False,
    ) -> None:
        self.broker = broker or MemoryBroker(env, clock)
        self.is_connected = True
        self.echo_age_ns = 0
        self.failure: BaseException | None = None
        """What a handler raised; nothing of its subscription is delivered after it."""
        self._is_manual = is_manual
        self._live: list[_MemorySubscription] = []

    def peer(self) -> MemoryBus:
        """Return another client of the same broker."""
        return MemoryBus(broker=self.broker, is_manual=self._is_manual)

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Send on core NATS."""
        self._require_connection()
        self.broker.publish(subject, data, {**travelling_headers(), **headers})

    async def append(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        fence: Fence | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout_s: float = 2.0,  # noqa: ARG002 - nothing takes time here
    ) -> Ack:
        """Store one message."""
        self._require_connection()
        return self.broker.append(
            subject, data, msg_id=msg_id, fence=fence, headers={**travelling_headers(), **headers}
        )

    async def latest(
        self, pattern: str, handler: Handler, *, queue: str | None = None
    ) -> _MemorySubscription:
        """Deliver the newest of each subject."""
        return self._listen(pattern, queue, Slots(), handler, None)

    async def each(
        self,
        pattern: str,
        handler: Handler,
        *,
        queue: str | None = None,
        on_lost: Callable[[int], None] | None = None,
    ) -> _MemorySubscription:
        """Deliver every message."""
        return self._listen(pattern, queue, Line(EACH_LIMIT), handler, on_lost)

    async def last(self, subject: str) -> Message | None:
        """Return the newest stored message."""
        self._require_connection()
        return self.broker.newest(subject)

    async def last_each(self, pattern: str) -> Sequence[Message]:
        """Return the newest stored message of every subject."""
        self._require_connection()
        return self.broker.newest_each(pattern)

    async def read(self, pattern: str, *, from_sequence: int = 1) -> AsyncIterator[Message]:
        """Yield what is stored now."""
        self._require_connection()
        for message in self.broker.stored(pattern, from_sequence):
            yield message

    async def read_all(self, stream: Stream, *, from_sequence: int = 1) -> AsyncIterator[Message]:
        """Yield what the stream holds now."""
        found = [
            message
            for pattern in self.broker.subjects.stream_subjects(stream)
            async for message in self.read(pattern, from_sequence=from_sequence)
        ]
        for message in sorted(found, key=lambda message: message.sequence):
            yield message

    async def follow(
        self, pattern: str, handler: Handler, *, from_sequence: int = 1, durable: str | None = None
    ) -> _MemorySubscription:
        """Deliver what is stored and what will be."""
        self._require_connection()
        if durable is not None:
            from_sequence = max(from_sequence, self.broker.durables.get(durable, 0) + 1)
            handler = self._acknowledging(durable, handler)
        return self._follow(pattern, handler, self.broker.stored(pattern, from_sequence))

    async def request(self, subject: str, data: bytes, *, timeout_s: float = 2.0) -> Message:
        """Ask and return the first answer."""
        self._require_connection()
        answers: list[Message] = []
        arrived = asyncio.Event()

        def take(message: Message) -> None:
            answers.append(message)
            arrived.set()

        reply = self.broker.new_inbox()
        end = self.broker.listen(reply, None, take)
        try:
            if self.broker.publish(subject, data, travelling_headers(), reply) == 0:
                raise BusUnavailable(f"somebody who answers {subject}, was nobody")
            if self._is_manual:
                await self.pump()
            if not answers:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(arrived.wait(), timeout_s)
            if not answers:
                raise OutcomeUnknown(f"no answer from {subject} in {timeout_s} s")
            return answers[0]
        finally:
            end()

    async def respond(self, message: Message, data: bytes) -> None:
        """Answer, where an answer is wanted."""
        if message.reply is not None:
            self._require_connection()
            self.broker.publish(message.reply, data)

    async def serve(
        self,
        service: str,
        endpoints: Mapping[str, Handler],
        metadata: Mapping[str, str],  # noqa: ARG002 - nobody asks for it here
    ) -> _Together:
        """Register endpoints in the queue group that the real service API uses."""
        parts = [
            self._listen(
                self.broker.subjects.of("svc", service, name),
                "q",
                Line(EACH_LIMIT),
                self._guarded(handler),
                None,
            )
            for name, handler in endpoints.items()
        ]
        return _Together(parts)

    async def put_config(self, key: str, data: bytes) -> int:
        """Write a configuration entry."""
        self._require_connection()
        subject = config_subject(self.broker.subjects.env, key)
        ack = self.broker.append(subject, data, msg_id=uuid.uuid4().hex, fence=None, headers={})
        return ack.sequence

    async def get_config(self, key: str) -> Message | None:
        """Return a configuration entry."""
        self._require_connection()
        found = self.broker.newest(config_subject(self.broker.subjects.env, key))
        return self._entry(found) if found is not None else None

    async def watch_config(self, pattern: str, handler: Handler) -> _MemorySubscription:
        """Deliver the present entries, then each change."""
        self._require_connection()

        async def open_entry(message: Message) -> None:
            await handler(self._entry(message))

        full = config_subject(self.broker.subjects.env, pattern)
        return self._follow(full, open_entry, self.broker.newest_each(full))

    async def drain(self) -> None:
        """Finish what waits, then close."""
        for subscription in tuple(self._live):
            for end in subscription._ends:  # noqa: SLF001 - our own class
                end()
            await subscription.delivery.stop(finish=not self._is_manual)
        self._live.clear()
        self.is_connected = False

    async def pump(self) -> int:
        """Deliver round-robin until nothing waits, in order of subscription; return how many."""
        count = 0
        moved = True
        while moved:
            moved = False
            for subscription in tuple(self._live):
                if await subscription.delivery.step():
                    moved = True
                    count += 1
        return count

    def _listen(
        self,
        pattern: str,
        queue: str | None,
        inbox: Inbox[Message],
        handler: Handler,
        on_lost: Callable[[int], None] | None,
    ) -> _MemorySubscription:
        self._require_connection()
        delivery = self._delivery(inbox, handler, on_lost)
        end = self.broker.listen(
            pattern, queue, lambda m: delivery.put(m.subject, m) if self.is_connected else None
        )
        return self._started(delivery, [end])

    def _follow(self, pattern: str, handler: Handler, backlog: Sequence[Message]) -> _MemorySubscription:
        delivery = self._delivery(Line(1 << 30), handler, None)
        for message in backlog:
            delivery.put(message.subject, message)
        end = self.broker.follow(pattern, lambda m: delivery.put(m.subject, m))
        return self._started(delivery, [end])

    def _delivery(
        self, inbox: Inbox[Message], handler: Handler, on_lost: Callable[[int], None] | None
    ) -> Delivery[Message]:
        return Delivery(inbox, _as_it_is, handler, on_lost or (lambda _: None), self._fail)

    def _started(
        self, delivery: Delivery[Message], ends: Sequence[Callable[[], None]]
    ) -> _MemorySubscription:
        subscription = _MemorySubscription(delivery, ends)
        self._live.append(subscription)
        if not self._is_manual:
            delivery.start()
        return subscription

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error

    def _acknowledging(self, durable: str, handler: Handler) -> Handler:
        async def handle(message: Message) -> None:
            await handler(message)
            self.broker.durables[durable] = message.sequence

        return handle

    def _guarded(self, handler: Handler) -> Handler:
        async def handle(message: Message) -> None:
            try:
                await handler(message)
            except Exception:  # noqa: BLE001 - an endpoint's edge: the caller gets a reference, never the text
                if message.reply is not None:
                    headers = {ERROR_CODE: "500", ERROR_TEXT: f"internal error, ref {uuid.uuid4().hex[:8]}"}
                    self.broker.publish(message.reply, b"", headers)

        return handle

    def _entry(self, message: Message) -> Message:
        prefix = config_subject(self.broker.subjects.env, "")
        return replace(message, subject=message.subject[len(prefix) :])

    def _require_connection(self) -> None:
        if not self.is_connected:
            raise BusUnavailable("a connection to the bus, was none")


def _as_it_is(message: Message) -> Message:
    return message

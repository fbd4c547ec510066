"""The bus as services see it: the newest state, every message, or a question.

Three kinds of traffic, and no fourth. *Latest*: whole state that replaces what
came before; a consumer holds one slot a subject and never falls behind.
*Stream*: messages that all count, appended with an acknowledgement and, where
it matters, a fence. *Reply*: questions. `nats.py` carries this to processes
and `memory.py` to tests and simulation; services import this module only.

Errors by fault (see `libs/common/runtime/errors.py`): `BusUnavailable` means
nothing was sent; `OutcomeUnknown` means it may have been stored; `AppendRefused`
means the fence or the server said no, and nothing was stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from libs.common.subjects import Stream

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Message:
    """One message as received.

    Attributes:
        subject: Full subject.
        data: The bytes; may be empty or malformed, nobody looked yet.
        headers: Case-sensitive, without duplicates.
        reply: Where an answer goes, or None.
        sequence: Stream sequence, or 0 for a message of core NATS.
        received_ns: The receiver's monotonic clock at arrival, nanoseconds.
    """

    subject: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)
    reply: str | None = None
    sequence: int = 0
    received_ns: int = 0
    stored_at: str = ""
    """When the stream stored it by the server's clock, RFC 3339; empty for a message of core NATS."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A condition on an append: the newest message under ``subject`` has this stream sequence.

    ``subject`` may be another subject of the same stream, and may be a wildcard.
    """

    subject: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Ack:
    """A stored append. ``is_duplicate`` says an earlier write landed, never "I still lead"."""

    sequence: int
    is_duplicate: bool


class BusError(Exception):
    """Root of what the bus raises."""


class BusUnavailable(BusError):  # noqa: N818
    """Not connected, or the answer says not served: nothing was sent or stored."""


class OutcomeUnknown(BusError):  # noqa: N818
    """No answer in time: it may have been stored. Append again with the same ``msg_id`` to learn."""


class AppendRefused(BusError):  # noqa: N818
    """The stream refused: a fence (``is_fence``) or storage; nothing was stored."""

    def __init__(self, text: str, *, is_fence: bool) -> None:
        super().__init__(text)
        self.is_fence = is_fence


Handler = Callable[[Message], Awaitable[None]]
"""Called one message at a time per subscription. An exception that escapes ends the service."""


class Subscription(Protocol):
    """A running subscription."""

    async def stop(self) -> None:
        """Stop delivery; messages in slots are dropped."""
        ...


class Bus(Protocol):
    """What a service may do with the bus."""

    @property
    def is_connected(self) -> bool:
        """Return whether the connection is believed alive; the echo watchdog knows better."""
        ...

    @property
    def echo_age_ns(self) -> int:
        """Return the age of the newest own echo heard, monotonic nanoseconds; huge if none was."""
        ...

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Send on core NATS; never buffered across a disconnect.

        Raises:
            BusUnavailable: Not connected; the message is gone.
        """
        ...

    async def append(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        fence: Fence | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout_s: float = 2.0,
    ) -> Ack:
        """Store one message in the stream that captures the subject and wait for the acknowledgement.

        Raises:
            AppendRefused: A fence or the server refused.
            BusUnavailable: Not connected, or no stream captures the subject.
            OutcomeUnknown: No acknowledgement in time.
        """
        ...

    async def latest(self, pattern: str, handler: Handler, *, queue: str | None = None) -> Subscription:
        """Deliver the newest message of each subject under the pattern; older ones lose their slot."""
        ...

    async def each(
        self,
        pattern: str,
        handler: Handler,
        *,
        queue: str | None = None,
        on_lost: Callable[[int], None] | None = None,
    ) -> Subscription:
        """Deliver every message heard on core NATS, in order.

        ``on_lost`` gets the count when a limit dropped some.
        """
        ...

    async def last(self, subject: str) -> Message | None:
        """Return the newest stored message under the subject, wildcards allowed, from the stream's leader.

        Raises:
            BusUnavailable: The leader did not answer. Unreadable is not empty.
        """
        ...

    async def last_each(self, pattern: str) -> Sequence[Message]:
        """Return the newest stored message of every subject under the pattern, by sequence."""
        ...

    def read(self, pattern: str, *, from_sequence: int = 1) -> AsyncIterator[Message]:
        """Yield the stored messages under the pattern from a sequence to the end at the time of the call."""
        ...

    def read_all(self, stream: Stream, *, from_sequence: int = 1) -> AsyncIterator[Message]:
        """Yield everything a stream holds up to its end at the time of the call, in the order it was stored.

        One pass, where several patterns of one stream would each be a pass over all of it.
        """
        ...

    async def follow(
        self, pattern: str, handler: Handler, *, from_sequence: int = 1, durable: str | None = None
    ) -> Subscription:
        """Deliver every stored message from a sequence on, in order, and go on with new ones.

        With ``durable`` the place is kept by the server and each message is
        acknowledged after the handler returned; consumers are made by `dora init`.
        """
        ...

    async def request(self, subject: str, data: bytes, *, timeout_s: float = 2.0) -> Message:
        """Ask and return the first answer.

        Raises:
            BusUnavailable: Nobody listens, or not connected.
            OutcomeUnknown: No answer in time.
        """
        ...

    async def respond(self, message: Message, data: bytes) -> None:
        """Answer a message that carries a reply subject; does nothing where it carries none."""
        ...

    async def serve(
        self, service: str, endpoints: Mapping[str, Handler], metadata: Mapping[str, str]
    ) -> Subscription:
        """Register a NATS micro service ``dora-<service>`` with endpoints on ``svc.<service>.<name>``.

        A handler answers with :meth:`respond`. An exception is answered with a
        reference, never with its text.
        """
        ...

    async def put_config(self, key: str, data: bytes) -> int:
        """Write a configuration entry to the ``cfg`` bucket and return its revision."""
        ...

    async def get_config(self, key: str) -> Message | None:
        """Return a configuration entry (``sequence`` is its revision), or None if never written."""
        ...

    async def watch_config(self, pattern: str, handler: Handler) -> Subscription:
        """Deliver the current configuration entries under the pattern and then each change."""
        ...

    async def drain(self) -> None:
        """Finish what is being handled, then close."""
        ...

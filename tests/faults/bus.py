"""A process's client of the in-memory broker: what leaves takes time to arrive and to be answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from libs.common.bus.api import NO_HEADERS, Ack, BusUnavailable, Fence, Handler, Message, OutcomeUnknown
from libs.common.bus.memory import MemoryBroker, MemoryBus, _MemorySubscription
from libs.common.env import Env
from libs.common.runtime.context import travelling_headers
from tests.faults.process import Kind, Process

_PAGE = 32
"""A read fetches so many messages at a time, as the real one does."""

Appending = Callable[[str, Fence | None], Fence | None]
"""Subject and fence of an append: returns the fence that really travels; for mutants."""


class ProcessBus(MemoryBus):
    """One connection."""

    def __init__(self, env: Env, broker: MemoryBroker, process: Process) -> None:
        super().__init__(env, broker=broker)
        self._process = process
        self.fence_of: Appending = lambda _, fence: fence
        self.is_swallowed: Callable[[str], bool] = lambda _: False
        """Which appends are acknowledged and never sent; for mutants."""

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Send on core NATS; nobody waits."""
        sent = {**travelling_headers(), **headers}
        self._process.leave(
            Kind.TELL,
            f"publish {_family(subject)}",
            lambda _: self._process.loop.in_world(
                self._process.loop.weather.bus_ns, lambda: _nothing(self.broker.publish(subject, data, sent))
            ),
        )

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
        """Store one message."""
        if self.is_swallowed(subject):
            return Ack(1, is_duplicate=False)
        sent = {**travelling_headers(), **headers}
        fence = self.fence_of(subject, fence)
        try:
            async with asyncio.timeout(timeout_s):
                ack: Ack = await self._process.turn(
                    lambda: self.broker.append(subject, data, msg_id=msg_id, fence=fence, headers=sent),
                    f"append {_family(subject)}",
                    Kind.EFFECT,
                )
                return ack
        except TimeoutError:
            raise OutcomeUnknown(f"no acknowledgement for {subject}") from None

    async def last(self, subject: str) -> Message | None:
        """Return the newest stored message."""
        found: Message | None = await self._ask(lambda: self.broker.newest(subject), subject)
        return found

    async def last_each(self, pattern: str) -> Sequence[Message]:
        """Return the newest stored message of every subject."""
        found: list[Message] = await self._ask(lambda: self.broker.newest_each(pattern), pattern)
        return found

    async def read(self, pattern: str, *, from_sequence: int = 1) -> AsyncIterator[Message]:
        """Yield what is stored now, a page at a time."""
        found: list[Message] = await self._ask(lambda: self.broker.stored(pattern, from_sequence), pattern)
        for number, message in enumerate(found):
            if number and number % _PAGE == 0:
                await self._ask(lambda: None, pattern)
            yield message

    async def follow(
        self, pattern: str, handler: Handler, *, from_sequence: int = 1, durable: str | None = None
    ) -> _MemorySubscription:
        """Deliver what is stored and what will be."""
        await self._ask(lambda: None, pattern)
        return await super().follow(pattern, handler, from_sequence=from_sequence, durable=durable)

    async def respond(self, message: Message, data: bytes) -> None:
        """Answer, where an answer is wanted."""
        if message.reply is not None:
            await self.publish(message.reply, data)

    async def _ask(self, act: Callable[[], Any], subject: str) -> Any:
        if not self.is_connected:
            raise BusUnavailable("a connection to the bus, was none")
        return await self._process.turn(act, f"read {_family(subject)}")


def _family(subject: str) -> str:
    return ".".join(subject.split(".")[2:4])


def _nothing(_: object) -> None:
    return None

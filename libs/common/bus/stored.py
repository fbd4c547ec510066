"""Reading streams without consumers: every read is a question to the stream's leader.

The right to create a consumer is a right to read anything and to have it sent
anywhere, and the client's own consumers stay silent after a broker restart or a
recreated stream. So a follower asks for "the next message under this pattern
from sequence n on", keeps n itself, and is merely woken by the core message
that announces the stored one; a poll covers a lost wake-up. A core message
proves nothing by itself: listeners hear it even when the stream refused it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from libs.common.bus.api import BusUnavailable, Message, OutcomeUnknown
from libs.common.bus.match import matches
from libs.common.bus.wire import API, InfoAnswer, parse_get, parse_info
from libs.common.runtime.errors import BusClosed

Ask = Callable[[str, bytes, float], Awaitable[bytes]]
"""Subject, request, seconds: returns the answer or raises `BusUnavailable` or `OutcomeUnknown`."""

_TIMEOUT_S: Final = 2.0
_IN_FLIGHT_MAX: Final = 32
_DENSE: Final = 1 / 16
"""From this share of a stream on, fetching every message beats asking for one match after the other."""
_STREAK: Final = 16
"""After so many messages without a pause the follower is behind and reads in bulk."""
_POLL_S: Final = 1.0
_CHECK_S: Final = 5.0
_RETRY_S: Final = 0.1
_SETTLE_S: Final = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)
"""Waits after a wake-up that found nothing: the core message overtakes the synced write by that much."""


class StoredMessages:
    """The stored messages of one connection."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def info(self, stream: str, pattern: str = "", offset: int = 0) -> InfoAnswer:
        """Return the stream's configuration and state, with the subjects under the pattern if one is given.

        Raises:
            BusUnavailable: No such stream or no answer.
        """
        request = msgspec.json.encode({"subjects_filter": pattern, "offset": offset} if pattern else {})
        answer = parse_info(await self._read(f"{API}STREAM.INFO.{stream}", request))
        if answer is None:
            raise BusUnavailable(f"stream {stream}, was missing: `dora init` makes it")
        return answer

    async def last(self, stream: str, pattern: str) -> Message | None:
        """Return the newest message under the pattern."""
        return await self._get(stream, {"last_by_subj": pattern})

    async def last_each(self, stream: str, pattern: str) -> list[Message]:
        """Return the newest message of every subject under the pattern, by sequence."""
        subjects: list[str] = []
        while True:
            answer = await self.info(stream, pattern, len(subjects))
            page = answer.state.subjects or {}
            subjects.extend(page)
            if not page or len(subjects) >= answer.total:
                break
        found: list[Message] = []
        for start in range(0, len(subjects), _IN_FLIGHT_MAX):
            part = subjects[start : start + _IN_FLIGHT_MAX]
            answers = await asyncio.gather(*(self.last(stream, subject) for subject in part))
            found.extend(message for message in answers if message is not None)
        return sorted(found, key=lambda message: message.sequence)

    async def read(self, stream: str, pattern: str, from_sequence: int) -> AsyncIterator[Message]:
        """Yield what is stored under the pattern from the sequence up to the present end."""
        answer = await self.info(stream, pattern)
        state = answer.state
        sequence = max(from_sequence, state.first_seq, 1)
        matching = sum((state.subjects or {}).values())
        if matching == 0:
            return
        is_dense = answer.total > len(state.subjects or {}) or matching >= _DENSE * state.messages
        if is_dense:
            async for message in self._every(stream, sequence, state.last_seq):
                if matches(pattern, message.subject):
                    yield message
            return
        while sequence <= state.last_seq:
            found = await self.next(stream, pattern, sequence)
            if found is None or found.sequence > state.last_seq:
                return
            sequence = found.sequence + 1
            yield found

    async def read_all(self, stream: str, from_sequence: int) -> AsyncIterator[Message]:
        """Yield everything that is stored from the sequence up to the present end, in order."""
        state = (await self.info(stream)).state
        async for message in self._every(stream, max(from_sequence, state.first_seq, 1), state.last_seq):
            yield message

    async def _every(self, stream: str, first: int, last: int) -> AsyncIterator[Message]:
        # Many questions under way and never more: a long stream costs time, not memory.
        waiting: deque[asyncio.Task[Message | None]] = deque()
        number = first
        try:
            while number <= last or waiting:
                while number <= last and len(waiting) < _IN_FLIGHT_MAX:
                    waiting.append(asyncio.create_task(self._get(stream, {"seq": number})))
                    number += 1
                message = await waiting.popleft()
                if message is not None:
                    yield message
        finally:
            for task in waiting:
                task.cancel()

    async def next(self, stream: str, pattern: str, from_sequence: int) -> Message | None:
        """Return the first message under the pattern from the sequence on."""
        return await self._get(stream, {"seq": max(1, from_sequence), "next_by_subj": pattern})

    async def _get(self, stream: str, query: dict[str, str | int]) -> Message | None:
        return parse_get(await self._read(f"{API}STREAM.MSG.GET.{stream}", msgspec.json.encode(query)))

    async def _read(self, subject: str, request: bytes) -> bytes:
        try:
            return await self._ask(subject, request, _TIMEOUT_S)
        except OutcomeUnknown as e:
            raise BusUnavailable(f"{e}; unreadable is not empty") from None


class Follower:
    """Delivers every stored message under a pattern, in order, for ever."""

    def __init__(
        self,
        stored: StoredMessages,
        stream: str,
        pattern: str,
        from_sequence: int,
        on_unreadable: Callable[[BusUnavailable], None],
    ) -> None:
        self._on_unreadable = on_unreadable
        self._stored = stored
        self._stream = stream
        self._pattern = pattern
        self._sequence = max(1, from_sequence)
        self._wakes = 0
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Say that something may have been stored."""
        self._wakes += 1
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def run(self, handle: Callable[[Message], Awaitable[None]]) -> None:
        """Deliver until cancelled.

        Raises:
            BusClosed: The stream's sequence went back: it was made anew, and what we know of it is void.
        """
        checked_at = time.monotonic()
        streak = 0
        while True:
            seen = self._wakes
            try:
                message = await self._next()
                if message is None:
                    streak = 0
                    message = await self._next_announced(seen)
                if message is not None:
                    await self._deliver(message, handle)
                    streak += 1
                if streak >= _STREAK:
                    streak = 0
                    await self._read_ahead(handle)
                if time.monotonic() - checked_at > _CHECK_S:
                    checked_at = time.monotonic()
                    await self._check()
            except BusUnavailable as e:
                self._on_unreadable(e)
                await asyncio.sleep(_RETRY_S)
                checked_at = 0.0

    async def _next(self) -> Message | None:
        return await self._stored.next(self._stream, self._pattern, self._sequence)

    async def _deliver(self, message: Message, handle: Callable[[Message], Awaitable[None]]) -> None:
        await handle(message)
        self._sequence = message.sequence + 1

    async def _read_ahead(self, handle: Callable[[Message], Awaitable[None]]) -> None:
        """Catch up in bulk: far behind, one question a message would take long."""
        async for message in self._stored.read(self._stream, self._pattern, self._sequence):
            await self._deliver(message, handle)

    async def _next_announced(self, seen: int) -> Message | None:
        """Wait for a wake-up or the poll, and return what a wake-up announced once it is stored."""
        if self._wakes == seen:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(_POLL_S, self.wake_quietly)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        if self._wakes == seen:
            return None
        for pause_s in _SETTLE_S:
            message = await self._next()
            if message is not None:
                return message
            await asyncio.sleep(pause_s)
        return None

    def wake_quietly(self) -> None:
        """End a wait without claiming that something was announced."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _check(self) -> None:
        last = (await self._stored.info(self._stream)).state.last_seq
        if last + 1 < self._sequence:
            raise BusClosed(
                f"stream {self._stream} to grow beyond {self._sequence - 1}, was at {last}: it was made anew"
            )

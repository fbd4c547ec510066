"""Questions that wait for their answer, by token, resolved right where answers arrive.

The client's own requests pass through a task and `wait_for`; on the order path
that is a tenth of the whole append.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable
from typing import Generic, TypeVar

from libs.common.bus.api import OutcomeUnknown

T = TypeVar("T")


class Questions(Generic[T]):
    """The open questions of one connection."""

    def __init__(self, name: str) -> None:
        self.inbox = f"_R.{name}.{uuid.uuid4().hex[:12]}."
        """Answers come to this prefix with a token behind it."""
        self._tokens = itertools.count(1)
        self._open: dict[str, tuple[asyncio.Future[T], Callable[[T], bool]]] = {}

    async def ask(
        self, send: Callable[[str], None], what: str, timeout_s: float, accept: Callable[[T], bool]
    ) -> T:
        """Send with a reply subject of its own and return the first answer that is accepted.

        Raises:
            OutcomeUnknown: No such answer in time, or the connection broke.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        token = f"{next(self._tokens):x}"
        self._open[token] = (future, accept)
        timer = loop.call_later(timeout_s, _expire, future, what, timeout_s)
        try:
            send(self.inbox + token)
            return await future
        finally:
            timer.cancel()
            del self._open[token]

    def take(self, subject: str, answer: T) -> None:
        """Resolve the question that the subject belongs to, if it is still open and takes the answer."""
        question = self._open.get(subject[len(self.inbox) :])
        if question is not None and not question[0].done() and question[1](answer):
            question[0].set_result(answer)

    def fail_all(self, why: str) -> None:
        """Fail what is open: answers of before a break do not come after it."""
        for future, _ in tuple(self._open.values()):
            if not future.done():
                future.set_exception(OutcomeUnknown(f"an answer, was: {why}"))


def _expire(future: asyncio.Future[T], what: str, timeout_s: float) -> None:
    if not future.done():
        future.set_exception(OutcomeUnknown(f"an answer from {what} in {timeout_s} s, was none"))

"""What runs on behalf of a bus, and how each part ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from libs.common.bus.inbox import Delivery

End = Callable[[], Awaitable[None]]
"""Takes a feed off the server; never raises for a connection that is gone."""


class Part(Protocol):
    """Something that `drain` must end."""

    async def stop(self) -> None:
        """End it; what waits is dropped."""
        ...

    async def finish(self) -> None:
        """End it; what waits is handled first."""
        ...


class Feed:
    """One client subscription and, where it has one, the delivery that it fills."""

    def __init__(self, end: End, delivery: Delivery[Any] | None, forget: Callable[[Part], None]) -> None:
        self._end = end
        self._delivery = delivery
        self._forget = forget

    async def stop(self) -> None:
        """Stop delivery; messages in slots are dropped."""
        await self._stop(finish=False)

    async def finish(self) -> None:
        """Stop the feed, handle what waits."""
        await self._stop(finish=True)

    async def _stop(self, *, finish: bool) -> None:
        self._forget(self)
        await self._end()
        if self._delivery is not None:
            await self._delivery.stop(finish=finish)


class Running:
    """A task that delivers stored messages, and the feed that wakes it."""

    def __init__(self, task: asyncio.Task[None], wake: Feed, forget: Callable[[Part], None]) -> None:
        self._task = task
        self._wake = wake
        self._forget = forget

    async def stop(self) -> None:
        """Stop delivery."""
        self._forget(self)
        await self._wake.stop()
        if self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def finish(self) -> None:
        """Stop delivery; what is stored stays stored."""
        await self.stop()


class Served:
    """A registered micro service."""

    def __init__(self, end: End, forget: Callable[[Part], None]) -> None:
        self._end = end
        self._forget = forget

    async def stop(self) -> None:
        """Take the endpoints off the bus."""
        self._forget(self)
        await self._end()

    async def finish(self) -> None:
        """Take the endpoints off the bus."""
        await self.stop()

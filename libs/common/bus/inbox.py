"""Where received messages wait for their handler: one slot a subject, or a bounded line.

Both adapters use it, so that a test with the memory bus conflates exactly as
production does. The NATS client drops the *newest* message when its own queue is
full, which for a book means quoting from the past; a slot is replaced instead.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from libs.common.bus.api import Handler, Message
from libs.common.runtime.context import bind_received

T = TypeVar("T")
_TURN: Final = 16
"""Messages handled before others get the event loop: a halt must not wait behind a burst of books."""


class Inbox(Protocol[T]):
    """Messages that arrived and were not handled yet."""

    lost: int
    """Dropped by a limit since last asked."""
    replaced: int
    """Replaced in their slot, ever."""

    def put(self, subject: str, item: T) -> None:
        """Add what arrived."""
        ...

    def take(self) -> T | None:
        """Remove and return the next to handle, or None."""
        ...

    def __len__(self) -> int: ...


class Slots(Generic[T]):
    """One slot a subject: the newest replaces what waits, and keeps its place in the line."""

    def __init__(self) -> None:
        self.lost = 0
        self.replaced = 0
        self._slots: OrderedDict[str, T] = OrderedDict()

    def put(self, subject: str, item: T) -> None:
        """Fill the slot."""
        if subject in self._slots:
            self.replaced += 1
        self._slots[subject] = item

    def take(self) -> T | None:
        """Empty the slot that was filled first."""
        return self._slots.popitem(last=False)[1] if self._slots else None

    def __len__(self) -> int:
        return len(self._slots)


class Line(Generic[T]):
    """Everything in order up to a limit; beyond it the oldest go, counted."""

    def __init__(self, limit: int) -> None:
        self.lost = 0
        self.replaced = 0
        self._limit = limit
        self._items: deque[T] = deque()

    def put(self, subject: str, item: T) -> None:  # noqa: ARG002 - the slots need the subject
        """Join the line."""
        if len(self._items) >= self._limit:
            self._items.popleft()
            self.lost += 1
        self._items.append(item)

    def take(self) -> T | None:
        """Serve the head of the line."""
        return self._items.popleft() if self._items else None

    def __len__(self) -> int:
        return len(self._items)


class Delivery(Generic[T]):
    """Hands what is in an inbox to one handler, one at a time, in one task.

    The task ends when the handler raises: messages behind a failed one would
    otherwise be handled by a service whose state nobody can vouch for.
    """

    def __init__(
        self,
        inbox: Inbox[T],
        open_item: Callable[[T], Message],
        handler: Handler,
        on_lost: Callable[[int], None],
        on_failed: Callable[[BaseException], None],
    ) -> None:
        self.inbox = inbox
        self._open = open_item
        self._handler = handler
        self._on_lost = on_lost
        self._on_failed = on_failed
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_busy = False
        self._is_stopping = False

    def start(self) -> None:
        """Begin to deliver."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def put(self, subject: str, item: T) -> None:
        """Take in what arrived and wake the task if it sleeps."""
        if self._is_stopping:
            return
        self.inbox.put(subject, item)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def step(self) -> bool:
        """Handle one message, if any; say whether there was one. For a bus that is pumped by hand."""
        item = self.inbox.take()
        if item is None:
            return False
        await self._handle(item)
        return True

    async def stop(self, *, finish: bool = False) -> None:
        """End delivery: what is being handled is finished, what waits is dropped unless ``finish``."""
        task, self._task = self._task, None
        if task is None or task is asyncio.current_task():
            self._is_stopping = True
            return
        if finish:
            while (self._is_busy or len(self.inbox)) and not task.done():  # noqa: ASYNC110 - once, at shutdown
                await asyncio.sleep(0.001)
        self._is_stopping = True
        if not self._is_busy:
            task.cancel()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            turn = 0
            while not self._is_stopping:
                item = self.inbox.take()
                if item is None:
                    self._waiter = loop.create_future()
                    await self._waiter
                    turn = 0
                    continue
                self._is_busy = True
                await self._handle(item)
                self._is_busy = False
                turn += 1
                if turn >= _TURN:
                    turn = 0
                    await asyncio.sleep(0)
        except Exception as e:  # noqa: BLE001 - the task's outermost frame: whoever owns the bus ends the service
            self._is_busy = False
            self._on_failed(e)
        except asyncio.CancelledError as e:
            self._is_busy = False
            if not was_cancelled():
                # A handler awaited something cancelled: without this the subscription goes deaf in silence.
                self._on_failed(e)
            raise

    async def _handle(self, item: T) -> None:
        lost = self.inbox.lost
        if lost:
            self.inbox.lost = 0
            self._on_lost(lost)
        message = self._open(item)
        bind_received(message.headers)
        await self._handler(message)


def was_cancelled() -> bool:
    """Return whether somebody asked this task to end, or a handler let a cancellation escape."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

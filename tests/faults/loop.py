"""An event loop with virtual time in which every step belongs to a process that can be stopped there.

No socket and no thread: when nothing is ready, the clock jumps to the next timer, so
an hour of waiting costs nothing and every run is the same run. Each task and timer
carries its process in its context; before a step of a process is taken, the process
is asked whether it still lives (`process.py`). The rest of asyncio is the real one.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, Protocol, TypeVar, cast

from tests.faults.weather import Weather

T = TypeVar("T")
_S = 1_000_000_000
_LAST_WORDS_MAX = 8


class Owner(Protocol):
    """Who takes steps on the loop."""

    behind_ns: int
    """How far its clock is behind the world's: a suspended machine's stands still."""

    def may_step(self, handle: asyncio.Handle) -> bool:
        """Return whether the step may be taken; a refused one is dropped or kept by the owner."""
        ...

    def stepped(self) -> None:
        """Look at what the step left behind."""
        ...

    def connect(self, protocol: asyncio.Protocol) -> Coroutine[Any, Any, asyncio.Transport]:
        """Open a connection to the venue."""
        ...


OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)
_Timer = tuple[int, int, asyncio.TimerHandle]


class Stuck(AssertionError):  # noqa: N818 - named for what was found
    """Nothing is ready and no timer is set."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """See the module. Times are whole nanoseconds since the loop was made."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.now_ns = 0
        self.steps = 0
        self.errors: list[str] = []
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[_Timer] = []
        self._order = itertools.count()
        self._kept: list[asyncio.Task[Any]] = []

    def run_until(self, is_over: Callable[[], bool]) -> None:
        """Take steps until the condition holds; it is asked after each.

        Raises:
            Stuck: It cannot hold any more.
        """
        asyncio._set_running_loop(self)
        try:
            while not is_over():
                self._step()
        finally:
            asyncio._set_running_loop(None)

    def dispose(self) -> None:
        """Close what is still suspended, so that the collector need not, long after the run."""
        asyncio._set_running_loop(self)
        for task in self._kept:
            coroutine = task.get_coro()
            for _ in range(_LAST_WORDS_MAX):
                try:
                    coroutine.close()
                except BaseException:  # noqa: BLE001, S112 - it said something more instead of ending
                    continue
                break
        asyncio._set_running_loop(None)

    def owned_timers(self, owner: Owner) -> list[_Timer]:
        """Remove and return the timers of an owner."""
        mine = [timer for timer in self._timers if _owner_of(timer[2]) is owner]
        self._timers = [timer for timer in self._timers if _owner_of(timer[2]) is not owner]
        heapq.heapify(self._timers)
        return mine

    def put_timer(self, when_ns: int, handle: asyncio.TimerHandle) -> None:
        """Set a timer that was removed, by the world's clock."""
        heapq.heappush(self._timers, (when_ns, next(self._order), handle))

    def put_ready(self, handle: asyncio.Handle) -> None:
        """Give a step that was kept its turn."""
        self._ready.append(handle)

    def in_world(self, delay_ns: int, act: Callable[[], None]) -> None:
        """Do something outside of every process, later."""
        handle = asyncio.TimerHandle(0.0, act, (), self, Context())
        self.put_timer(self.now_ns + delay_ns, handle)

    def _step(self) -> None:
        while not self._ready:
            if not self._timers:
                raise Stuck("something that is ready or due, was nothing")
            when_ns, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled():
                self.now_ns = max(self.now_ns, when_ns)
                self._ready.append(timer)
        handle = self._ready.popleft()
        if handle.cancelled():
            return
        owner = _owner_of(handle)
        if owner is not None and not owner.may_step(handle):
            return
        self.steps += 1
        handle._run()
        if owner is not None:
            owner.stepped()

    # asyncio's side

    def time(self) -> float:
        """Return the time of whoever asks, in seconds."""
        owner = OWNER.get()
        return (self.now_ns - (owner.behind_ns if owner is not None else 0)) / _S

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Give a callback its turn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Set a timer."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Set a timer by the clock of whoever sets it."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        owner = _owner_of(handle)
        self.put_timer(round(when * _S) + (owner.behind_ns if owner is not None else 0), handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        """Start a task. It is kept: the collector would run the last lines of a dead process."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._kept.append(task)
        return task

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], *_: Any, **__: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect to the only host there is."""
        owner = OWNER.get()
        assert owner is not None, "a process that connects"
        protocol = protocol_factory()
        return await owner.connect(protocol), protocol

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody caught: the run fails of it."""
        self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    def get_debug(self) -> bool:
        """Return False."""
        return False

    def is_running(self) -> bool:
        """Return True: it is asked from inside only."""
        return True

    def is_closed(self) -> bool:
        """Return False."""
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: a cancelled timer is passed over when its time comes."""


def _owner_of(handle: asyncio.Handle) -> Owner | None:
    context = cast("Context", handle._context)  # type: ignore[attr-defined]
    return context.get(OWNER)

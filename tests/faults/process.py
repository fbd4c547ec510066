"""One life of the executor as the world sees it: numbered points at which it can be ended or paused.

A *point* is the moment before anything that the process does: before each step of
one of its tasks or callbacks (an await boundary), and before each request, append,
publication or file write leaves it (an effect boundary). Points count from 1 in the
order in which they are reached, so one number names a moment and repeats it.

An ended process takes no further step; what left it before goes on without it. A
paused one keeps its steps, and whatever the rest of the step under way would send:
a process can sleep between the last look at the gate and the write. `SUSPEND` stops
its monotonic clock with it, as a suspended machine's stands still, so that on waking
every proof still looks fresh: then only the fences are left.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from libs.common.bus.memory import MemoryBus
from services.executor.shell.service import ExecutorApp
from tests.faults.loop import OWNER, VirtualLoop


class Act(enum.StrEnum):
    """What happens to a process at a point."""

    GO = "go"
    CRASH = "crash"
    SLEEP = "sleep"
    """SIGSTOP: its clock goes on."""
    SUSPEND = "suspend"
    """Its machine stands still, monotonic clock included."""
    CANCEL = "cancel"
    """Its task is cancelled: CancelledError at every await that it stands in."""
    STOP = "stop"
    """It is asked to stop in order (SIGTERM)."""
    LOSE_REQUEST = "lose-request"
    """What is about to leave never arrives."""
    LOSE_ANSWER = "lose-answer"
    """What is about to leave arrives and is done, and its answer is lost."""
    WAKE = "wake"
    """Whoever sleeps wakes up now; the process itself goes on."""


class Kind(enum.StrEnum):
    """What kind of boundary a point is."""

    AWAIT = "await"
    READ = "read"
    """A question leaves: nothing outside changes."""
    TELL = "tell"
    """A publication on core NATS leaves: the next one replaces it."""
    EFFECT = "effect"
    """Something leaves that lasts: an append, an order request, a file write."""
    OUTSIDE = "outside"
    """Something of ours arrives at the stream or the venue."""


@dataclass(frozen=True, slots=True)
class Point:
    """A boundary: which life of the executor, the number in it, and what is about to happen."""

    life: int
    number: int
    kind: Kind
    what: str
    at_ns: int


Decide = Callable[[Point], Act]


class Fate(enum.Enum):
    """What becomes of something that left."""

    WHOLE = enum.auto()
    NO_REQUEST = enum.auto()
    NO_ANSWER = enum.auto()


_FATES = {Act.LOSE_REQUEST: Fate.NO_REQUEST, Act.LOSE_ANSWER: Fate.NO_ANSWER}
Leaving = Callable[[Fate], None]


class State(enum.Enum):
    """Whether it takes steps."""

    RUNNING = 1
    PAUSED = 2
    DEAD = 3


@dataclass(eq=False)
class Process:
    """One life."""

    life: int
    loop: VirtualLoop
    decide: Decide
    on_act: Callable[[Process, Act], None]
    on_step: Callable[[Process], None]
    open_line: Callable[[Process, asyncio.Protocol], Coroutine[Any, Any, asyncio.Transport]]
    state: State = State.RUNNING
    behind_ns: int = 0
    points: int = 0
    app: ExecutorApp | None = None
    bus: MemoryBus | None = None
    task: asyncio.Task[None] | None = None
    end: str = ""
    context: Context = field(default_factory=copy_context)
    _asleep_since_ns: int = 0
    _is_suspended: bool = False
    _steps: list[asyncio.Handle] = field(default_factory=list)
    _held: list[Leaving] = field(default_factory=list)
    _timers: list[tuple[int, int, asyncio.TimerHandle]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.run(OWNER.set, self)

    # The loop asks

    def may_step(self, handle: asyncio.Handle) -> bool:
        """Return whether the step may be taken."""
        if self.state is State.RUNNING:
            self._reach(Kind.AWAIT, "")
        if self.state is State.PAUSED:
            self._steps.append(handle)
        return self.state is State.RUNNING

    def stepped(self) -> None:
        """Let the world look."""
        self.on_step(self)

    def connect(self, protocol: asyncio.Protocol) -> Coroutine[Any, Any, asyncio.Transport]:
        """Open a connection to the venue."""
        return self.open_line(self, protocol)

    # What it does outwards

    def leave(self, kind: Kind, what: str, act: Leaving) -> None:
        """Let something leave the process, unless it ends or falls asleep right before."""
        fate = Fate.WHOLE
        if self.state is State.RUNNING:
            fate = self._reach(kind, what)
        if self.state is State.PAUSED:
            self._held.append(act)
        elif self.state is State.RUNNING:
            act(fate)

    def arrive(self, what: str) -> None:
        """Note that something of its own takes effect outside."""
        if self.state is State.RUNNING:
            self._reach(Kind.OUTSIDE, what)

    def hear(self, act: Callable[[], None]) -> None:
        """Bring something to the process: a step of its own."""
        if self.state is not State.DEAD:
            self.loop.call_soon(act, context=self.context)

    async def turn(self, act: Callable[[], Any], what: str, kind: Kind = Kind.READ) -> Any:
        """Ask somebody outside and return the answer; there and back take time."""
        answer: asyncio.Future[Any] = self.loop.create_future()
        fated: list[Fate] = []

        def leave(fate: Fate) -> None:
            fated.append(fate)
            if fate is not Fate.NO_REQUEST:
                self.loop.in_world(self.loop.weather.bus_ns, there)

        def there() -> None:
            if kind is Kind.EFFECT:
                self.arrive(what)
            try:
                result, error = act(), None
            except Exception as e:  # noqa: BLE001 - carried to who asked
                result, error = None, e
            if fated[0] is not Fate.NO_ANSWER:
                self.loop.in_world(self.loop.weather.bus_ns, lambda: self.hear(lambda: settle(result, error)))

        def settle(result: Any, error: Exception | None) -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        self.leave(kind, what, leave)
        return await answer

    # Its fate

    def crash(self) -> None:
        """Take no further step."""
        self.state = State.DEAD
        self.end = self.end or "crashed"
        self.loop.owned_timers(self)
        self._steps.clear()
        self._held.clear()

    def pause(self, *, is_suspended: bool) -> None:
        """Fall asleep."""
        self.state, self._is_suspended = State.PAUSED, is_suspended
        self._asleep_since_ns = self.loop.now_ns
        self._timers = self.loop.owned_timers(self)

    def wake(self) -> None:
        """Go on: first what the interrupted step was about to send, then the steps, then the timers."""
        if self.state is not State.PAUSED:
            return
        self.state = State.RUNNING
        slept_ns = self.loop.now_ns - self._asleep_since_ns if self._is_suspended else 0
        self.behind_ns += slept_ns
        held, self._held = self._held, []
        for act in held:
            act(Fate.WHOLE)
        steps, self._steps = self._steps, []
        for handle in steps:
            self.loop.put_ready(handle)
        for when_ns, _, handle in sorted(self._timers, key=lambda timer: timer[:2]):
            self.loop.put_timer(when_ns + slept_ns, handle)

    def _reach(self, kind: Kind, what: str) -> Fate:
        self.points += 1
        act = self.decide(Point(self.life, self.points, kind, what, self.loop.now_ns))
        if act is not Act.GO and act not in _FATES:
            self.on_act(self, act)
        return _FATES.get(act, Fate.WHOLE)

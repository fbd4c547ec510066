"""Executor and riskguard as far as halts and resumes concern them, on a real bus with real latch files.

The executor's side is its real engine, gate, `Halting`, `ControlWatch` and `LatchWriter`; the
riskguard's its real core with `Latches` and the real `Inputs.control`. What is missing is the venue
and the order path. Each side is supervised as `dora up` does it: it comes back until it is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from libs.common.bus.api import BusError
from libs.common.bus.nats import NatsBus
from libs.common.control.latch import LatchState
from libs.common.messages.base import encode
from libs.common.observability.metrics import Metrics
from libs.common.runtime.clock import SystemClock
from libs.common.runtime.errors import BusClosed
from libs.common.runtime.latch_file import LatchFile
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.executor.core.effects import StartKill, WriteLatch
from services.executor.shell.control import ControlWatch
from services.executor.shell.latch_writer import LatchWriter
from services.riskguard.core.effects import Effect, Halt
from services.riskguard.core.latches import WriteLatch as GuardWriteLatch
from services.riskguard.shell.inputs import Inputs
from tests.support.bus import ENV
from tests.support.executor_builders import Desk, a_desk
from tests.support.guards import guard
from tests.support.resumes import admission

SUBJECTS: Final = Subjects(ENV)
_LIVES = itertools.count(1)
_RETRY_S: Final = 0.05
_LOG: Final = EventLog(logging.getLogger("dora.test"))


class Side:
    """One process, more or less: it lives until it is stopped, and comes back when its bus fails it."""

    name = "side"

    def __init__(self, url: str, state_dir: Path) -> None:
        self.url = url
        self.file = LatchFile(state_dir, f"{self.name}-sim-main")
        self.violations: list[str] = []
        self.is_armed = False
        """Whether running is wrong from now on."""
        self.is_ready = False
        self.reads = 0
        """How often it has read the stream up to its end."""
        self._task: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        """Return whether somebody starts it again when it ends."""
        return self._task is not None

    def start(self) -> None:
        """Start it; it may have to wait for its bus."""
        assert self._task is None, "stopped before"
        self._task = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End it without a word."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task, self.is_ready = None, False

    def is_halted(self) -> bool:
        """Return whether nothing may be sent for a latch's sake."""
        raise NotImplementedError

    def why(self) -> str:
        """Return what it says of itself."""
        raise NotImplementedError

    def look(self) -> None:
        """Put it on record when it runs although it must not."""
        if self.is_armed and not self.is_halted():
            self.violations.append(self.why())

    async def _live(self, bus: NatsBus) -> None:
        raise NotImplementedError

    async def _supervise(self) -> None:
        while True:
            with contextlib.suppress(BusError, BusClosed, OSError, TimeoutError):
                bus = await NatsBus.connect(
                    self.url, name=self.name, env=ENV, instance=str(next(_LIVES)), timeout_s=1.0
                )
                try:
                    await self._live(bus)
                finally:
                    self.is_ready = False
                    with contextlib.suppress(BusError, BusClosed, OSError, TimeoutError):
                        async with asyncio.timeout(1.0):
                            await bus.drain()
            await asyncio.sleep(_RETRY_S)


class ExecutorSide(Side):
    """The executor's gate as halts and resumes move it."""

    name = "executor"

    def __init__(self, url: str, state_dir: Path) -> None:
        super().__init__(url, state_dir)
        self.desk: Desk = a_desk()
        self.watch: ControlWatch | None = None
        self.kills = 0
        self.hears_core = True

    def is_halted(self) -> bool:
        gate = self.desk.engine.account.gate
        return not self.is_up or bool(gate.halt_reasons())

    def why(self) -> str:
        gate = self.desk.engine.account.gate
        return f"{self.name}: latch {gate.latch}, file {self.desk.engine.halting.word}"

    async def _live(self, bus: NatsBus) -> None:
        self.desk = desk = a_desk()
        engine, gate = desk.engine, desk.engine.account.gate
        word = self.file.read()
        engine.halting.word, gate.latch = word, None
        gate.file_reason, gate.file_level = (word.reason if word.is_halted else ""), word.level
        writer = LatchWriter(self.file, gate, SystemClock(), _LOG)
        clock = SystemClock()

        def on_latch(state: LatchState) -> None:
            self.reads += state.source != "unreadable"
            for effect in engine.on_latch(state):
                if isinstance(effect, WriteLatch):
                    writer.write(effect)
                self.kills += isinstance(effect, StartKill)
            self.look()

        self.watch = watch = ControlWatch(
            bus=bus,
            subjects=SUBJECTS,
            halting=engine.halting,
            on_latch=on_latch,
            log=_LOG,
            run=f"life-{time.monotonic_ns()}",
            admission=admission(),
            now_ms=lambda: clock.now_ns() // 1_000_000,
            limits=engine.limits,
        )

        async def hear(message: object) -> None:
            if self.hears_core:
                watch.on_heard(message.subject, message.data, "bus")  # type: ignore[attr-defined]

        try:
            await bus.each(SUBJECTS.all_of("ctl.halt"), hear)
            await watch.read_all()
            self.is_ready = True
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(bus.watch())
                tasks.create_task(watch.run())
        except* (BusError, BusClosed, OSError, TimeoutError):
            pass
        finally:
            writer.flush()


class GuardSide(Side):
    """The riskguard's latches; it stores its own halts."""

    name = "riskguard"

    def __init__(self, url: str, state_dir: Path) -> None:
        super().__init__(url, state_dir)
        self.core = guard(self.file.read())

    def is_halted(self) -> bool:
        latches = self.core.latches
        return not self.is_up or latches.state().is_halted or latches.is_local

    def why(self) -> str:
        latches = self.core.latches
        return f"{self.name}: latch {latches.state()}, file {latches.word}"

    async def _live(self, bus: NatsBus) -> None:
        self.core = core = guard(self.file.read())
        clock = SystemClock()
        wanted: asyncio.Queue[Halt] = asyncio.Queue()
        life = time.monotonic_ns()

        def perform(effects: list[Effect]) -> None:
            for effect in effects:
                if isinstance(effect, GuardWriteLatch):
                    write = self.file.halt if effect.is_halted else self.file.clear
                    write(effect.halt_sequence, effect.reason, clock.now_ns(), stamp=effect.stamp)
                elif isinstance(effect, Halt):
                    wanted.put_nowait(effect)
            self.is_ready = core.latches.state().source != "unreadable"
            self.reads += self.is_ready
            self.look()

        async def store() -> None:
            while True:
                halt = await wanted.get()
                ack = await bus.append(
                    SUBJECTS.of("ctl.halt", "riskguard"), encode(halt.halt), msg_id=f"{life}/{halt.msg_id}"
                )
                perform(core.on_halt_stored(halt, ack.sequence))

        async def keep_heard() -> None:
            while True:
                await asyncio.sleep(0.1)
                perform(core._store_heard(clock.mono_ns()))

        inputs = Inputs(core, bus, SUBJECTS, clock, _LOG, Metrics(), perform)
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (bus.watch(), inputs.control(), store(), keep_heard()):
                    tasks.create_task(work)
        except* (BusError, BusClosed, OSError, TimeoutError):
            pass


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]], timeout_s: float, what: str
) -> None:
    """Wait for a condition, a few milliseconds at a time."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < deadline, f"{what} within {timeout_s} s"
        await asyncio.sleep(0.01)

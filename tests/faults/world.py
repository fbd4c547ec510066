"""The executor's whole world on one virtual loop: its lives, their ends, and the judgement at rest.

The executor is put together by its own wiring, so that what it gains is under test by
itself; `machine.py` then takes out what cannot live without a thread or a file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from libs.common.bus import memory
from libs.common.bus.match import matches
from libs.common.bus.memory import MemoryBroker
from libs.common.kalshi.session import FeedSession
from libs.common.runtime.config import Common, Venue
from libs.common.runtime.errors import FenceLost
from services.executor.config import Config, Epoch, Evidence, Gating, Groups, Planning
from services.executor.core.engine import Engine
from services.executor.shell import service
from services.executor.shell.service import ExecutorApp
from services.executor.wiring import wire
from tests.faults.auditor import Auditor
from tests.faults.bus import ProcessBus
from tests.faults.day import Day
from tests.faults.exchange import ACCOUNT, MS, Exchange, run_feed
from tests.faults.loop import OWNER, VirtualLoop
from tests.faults.machine import KEY_ID, ProcessClock, Shelf, SilentLog, Tell, WorldClock, furnish
from tests.faults.process import Act, Decide, Process, State
from tests.faults.weather import Weather
from tests.support.bus import ENV
from tests.support.executor_builders import LIMITS
from tests.support.runtimes import runtime_of

RESTART_NS: Final = 40 * MS
TAKE_NS: Final = 15 * MS
REST_NS: Final = 6_000 * MS
LOOK_NS: Final = 10 * MS
STOP_S: Final = 10.0
_matches = lru_cache(maxsize=4_096)(matches)
Mutate = Callable[[ExecutorApp, ProcessBus], None]


@dataclass
class World:
    """Everybody.

    Attributes:
        decide: Asked at every point of every process.
        key_file: Of the venue key; read by the wiring, believed by nobody.
        mutate: Breaks a freshly wired executor; for the test of the tests.
        tell: Takes every line that the executor logs; for repeating one run.
    """

    decide: Decide
    key_file: Path
    seed: int = 1
    mutate: Mutate = lambda _app, _bus: None
    tell: Tell | None = None
    loop: VirtualLoop = field(init=False)
    lives: list[Process] = field(default_factory=list)
    _look_ns: int = 0

    def __post_init__(self) -> None:
        self.loop = VirtualLoop(Weather.of(self.seed))  # type: ignore[abstract]  # the rest is never asked
        self.clock = WorldClock(self.loop)
        self.broker = MemoryBroker(ENV, self.clock)
        self.exchange = Exchange(self.loop, self.clock, self.seed)
        self.auditor = Auditor(self.exchange.venue, self.broker, ACCOUNT)
        self.exchange.on_events = self.auditor.on_events
        self.day = Day(self.exchange, self.broker, self.clock, self.auditor, self.has_sleeper)
        self._here = Shelf()
        setattr(memory, "matches", _matches)  # noqa: B010 - asked a thousand times of the same few subjects
        setattr(service, "run_feed", self._feed)  # noqa: B010 - the name is imported there

    def run(self) -> list[str]:
        """Run the day to rest and return what was broken."""
        day = self.day
        day.begin()
        self.start()
        work = (day.prove(), day.show(), day.decide(), day.play())
        tasks = [self.loop.create_task(one, context=Context()) for one in work]
        self.loop.run_until(self._is_over)
        if not self.auditor.breaches:
            self.auditor.at_rest(self._leading()[0]._engine)
        self.auditor.breaches.extend(self.loop.errors)
        for task in tasks:
            if task.done() and task.exception() is not None:
                self.auditor.breach(f"the day: {task.exception()!r}")
        return self.auditor.breaches

    def has_sleeper(self) -> bool:
        """Return whether somebody sleeps."""
        return any(process.state is State.PAUSED for process in self.lives)

    # Rest

    def _is_over(self) -> bool:
        if self.auditor.breaches or self.loop.errors:
            return True
        if not self.day.is_over or self.loop.now_ns < self._look_ns:
            return False
        self._look_ns = self.loop.now_ns + LOOK_NS
        why = self._unrest()
        if why and self.loop.now_ns > REST_NS:
            self.auditor.breach(f"not at rest after {REST_NS // MS} ms: {why}")
        return not why

    def _unrest(self) -> str:
        if self.has_sleeper():
            return "somebody sleeps"
        leading = self._leading()
        if len(leading) != 1:
            return f"{len(leading)} lead: {[(p.life, p.state.name, p.end) for p in self.lives]}"
        app = leading[0]
        engine: Engine = app._engine
        why = self.auditor.unrest(engine, self.day.wanted)
        if not why and (app._publisher.waiting or engine.quoter.batches_open):
            why = "records wait"
        if not why and engine.raw_residuals != (0, 0):
            why = f"residuals {engine.raw_residuals}"
        status = app.status()
        return why if not why or status.state == "running" else f"{status.state}: {status.reasons}; {why}"

    def _leading(self) -> list[ExecutorApp]:
        alive = [process.app for process in self.lives if process.state is State.RUNNING and not process.end]
        return [app for app in alive if app is not None and app._engine.epoch.is_leading]

    # Lives

    def start(self, *, elsewhere: bool = False) -> Process:
        """Start an executor, on a machine of its own if it stands in for one that sleeps."""
        if elsewhere:
            self._here = Shelf()
        process = Process(
            life=len(self.lives) + 1,
            loop=self.loop,
            decide=self.decide,
            on_act=self._on_act,
            on_step=self._on_step,
            open_line=self.exchange.open_line,
        )
        self.lives.append(process)
        process.task = self.loop.create_task(self._live(process, self._here), context=process.context)
        process.task.add_done_callback(
            lambda _: self.loop.in_world(0, lambda: self._buried(process)), context=Context()
        )
        return process

    async def _live(self, process: Process, shelf: Shelf) -> None:
        try:
            await self._work(process, shelf)
        except asyncio.CancelledError:
            process.end = process.end or "cancelled"
        except BaseException as e:  # noqa: BLE001 - the process's outermost frame
            leaves = _leaves(e)
            process.end = "; ".join(sorted({repr(one) for one in leaves}))
            if not all(isinstance(one, FenceLost) for one in leaves):
                self.auditor.breach(f"life {process.life} ended: {process.end}")

    async def _work(self, process: Process, shelf: Shelf) -> None:
        bus = ProcessBus(ENV, self.broker, process)
        clock = ProcessClock(self.loop, process)
        runtime = runtime_of(
            "executor", _config(self.key_file), bus, instance=f"life-{process.life}", clock=clock
        )
        object.__setattr__(runtime, "log", SilentLog(self._teller(process)))
        app = await wire(runtime)
        furnish(app, bus, process, clock, shelf)
        self.mutate(app, bus)
        process.app, process.bus = app, bus
        await app.run()

    async def _feed(
        self, _url: str, _signer: object, session: FeedSession, on_events: Any, clock: Any, **_: object
    ) -> None:
        process = OWNER.get()
        assert isinstance(process, Process)
        await run_feed(self.exchange, process, session, on_events, clock)

    def _teller(self, process: Process) -> Tell | None:
        tell = self.tell
        if tell is None:
            return None
        return lambda event, message, fields: tell(f"life {process.life} {event}", message, fields)

    def _on_act(self, process: Process, act: Act) -> None:
        if act is Act.CRASH:
            self._buried(process)
        elif act in (Act.SLEEP, Act.SUSPEND):
            process.pause(is_suspended=act is Act.SUSPEND)
            self.loop.in_world(RESTART_NS, self._stand_in)
        elif act is Act.CANCEL:
            process.end = "cancelled"
            assert process.task is not None
            process.task.cancel()
        elif act is Act.STOP:
            process.end = "stopped"
            self.loop.create_task(self._stop(process), context=process.context)
        elif act is Act.WAKE:
            self._wake_all()

    async def _stop(self, process: Process) -> None:
        if process.app is not None:
            engine: Engine = process.app._engine
            was_leading = engine.epoch.is_leading and engine.account.gate.is_rebuilt
            async with asyncio.timeout(STOP_S):
                await process.app.stop("SIGTERM")
            if was_leading and self.exchange.resting:
                self.auditor.breach(f"stopped in order and left {self.exchange.resting} orders")
        assert process.task is not None
        process.task.cancel()

    def _buried(self, process: Process) -> None:
        """Start the next life after an end, as a supervisor does; the market moves on meanwhile."""
        if process.state is State.DEAD:
            return
        process.crash()
        self.exchange.forget(process)
        self.loop.in_world(TAKE_NS, self.exchange.take_anything)
        self.loop.in_world(RESTART_NS, self._restart)

    def _restart(self) -> None:
        if not any(process.state is State.RUNNING for process in self.lives):
            self.start()

    def _stand_in(self) -> None:
        self.start(elsewhere=True)

    def _on_step(self, process: Process) -> None:
        if process.bus is not None and process.bus.failure is not None and not process.end:
            self.auditor.breach(f"life {process.life}: a handler raised {process.bus.failure!r}")
        if process.app is not None:
            engine: Engine = process.app._engine
            if engine.account.gate.is_recovered and engine.epoch.number > self.auditor.fenced_epoch:
                # It says that the epochs before its own are fenced: now whoever sleeps may wake.
                self.auditor.fenced(engine.epoch.number)
                self.loop.in_world(0, self._wake_all)

    def _wake_all(self) -> None:
        for process in self.lives:
            process.wake()


def _config(key_file: Path) -> Config:
    """Return a configuration whose waits are as short as their proportions allow."""
    return Config(
        common=Common(account=ACCOUNT, state_dir="nowhere"),
        venue=Venue(
            rest_url="http://venue/trade-api/v2",
            ws_url="ws://venue/trade-api/ws/v2",
            key_id=KEY_ID,
            key_file=str(key_file),
        ),
        limits=LIMITS,
        groups=Groups(limit_e2=100_000),
        planning=Planning(hysteresis_ticks=0),
        epoch=Epoch(lease_s=0.4, renew_s=0.1, no_risk_s=0.3, cancel_all_s=0.35),
        gate=Gating(book_age_ms=30_000),
        evidence=Evidence(
            read_lag_s=0.04,
            look_s=0.05,
            misses_max=2,
            absent_after_s=0.1,
            compare_s=0.2,
            clean_reads=2,
            clean_gap_s=0.03,
        ),
    )


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]

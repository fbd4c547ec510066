"""Keeps the processes of a world alive, and ends them in order.

One task a process: start, wait, ask `restarts.py`, start again. A process that
stays down does not take the others with it; the gate of the executor knows what
a silence means (design rule 6). The end goes stage by stage: SIGTERM, a bounded
wait, SIGKILL by process id. Children live in sessions of their own, so a Ctrl-C
on the terminal reaches `dora` alone and cannot cut the order short.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from libs.cli.restarts import RestartRule, StayDown

START_TRIES: Final = 4
_READY_POLL_S: Final = 0.05
_TAIL_BYTES: Final = 2_000


class StartFailed(Exception):  # noqa: N818 - named for what happened
    """A process ended or stayed silent before it was ready."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """How one process is started, known to be ready, and ended.

    Attributes:
        name: The service's name.
        argv: Program and arguments.
        env: Its whole environment.
        log: Where standard output and error are appended.
        stage: Lower stages end first.
        stop_grace_s: How long after SIGTERM it is killed.
        rule: When it comes back.
        is_ready: Asked until it says yes.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    stage: int
    stop_grace_s: float
    is_ready: Callable[[], Awaitable[bool]]
    rule: RestartRule = field(default_factory=RestartRule)


@dataclass(slots=True)
class _Running:
    spec: ProcessSpec
    task: asyncio.Task[None] | None = None
    process: asyncio.subprocess.Process | None = None
    stop_asked: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Owns the child processes; use it as an asynchronous context, whose exit stops what still runs."""

    def __init__(self, notice: Callable[[str], None] = lambda _: None) -> None:
        """Make an idle supervisor; ``notice`` gets one line for every death, restart and refusal."""
        self._notice = notice
        self.on_change: Callable[[], None] = lambda: None
        """Called after every change of a process id."""
        self._running: dict[str, _Running] = {}
        self._reaper: asyncio.subprocess.Process | None = None
        self.restarts: dict[str, int] = {}
        self.down: dict[str, str] = {}
        """Processes that stay down, with the reason."""

    async def __aenter__(self) -> Self:
        """Start the reaper, which cleans up should this process be killed."""
        self._reaper = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(Path(__file__).with_name("reaper.py")),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop what still runs, in order."""
        await self.stop_all()
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            await self._reaper.wait()

    @property
    def pids(self) -> dict[str, int]:
        """Return the ids of the processes alive now."""
        return {
            name: running.process.pid
            for name, running in self._running.items()
            if running.process is not None and running.process.returncode is None
        }

    async def start(self, spec: ProcessSpec) -> None:
        """Start a process and keep it alive; returns at once, see :meth:`until_ready`."""
        running = _Running(spec)
        self._running[spec.name] = running
        running.process = await self._spawn(spec)
        running.task = asyncio.create_task(self._keep(running), name=f"keep {spec.name}")

    async def until_ready(self, name: str, timeout_s: float) -> None:
        """Wait until the process says it is ready.

        Raises:
            StartFailed: It stays down, or did not become ready in time; the end of its log is told.
        """
        spec = self._running[name].spec
        before = self.restarts.get(name, 0)
        deadline_s = time.monotonic() + timeout_s
        while not await spec.is_ready():
            if name in self.down:
                raise StartFailed(f"{name} stays down: {self.down[name]}\n{self.log_tail(name)}")
            if self.restarts.get(name, 0) - before >= START_TRIES - 1:
                raise StartFailed(
                    f"{name} died {START_TRIES} times before it was ready\n{self.log_tail(name)}"
                )
            if time.monotonic() > deadline_s:
                raise StartFailed(f"{name} was not ready after {timeout_s:.0f} s\n{self.log_tail(name)}")
            await asyncio.sleep(_READY_POLL_S)

    def log_tail(self, name: str) -> str:
        """Return the last lines of a process's log."""
        path = self._running[name].spec.log
        try:
            tail = path.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace")
        except OSError:
            return ""
        return f"the end of {path}:\n{tail}"

    def is_down(self, name: str) -> bool:
        """Return whether no process of that name runs and none will."""
        return name in self.down or name not in self._running

    async def stop(self, name: str) -> None:
        """End one process for good: SIGTERM, a bounded wait, SIGKILL."""
        running = self._running.get(name)
        if running is None or running.task is None:
            return
        running.stop_asked.set()
        process = running.process
        if process is not None and process.returncode is None:
            _signal(process, signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), running.spec.stop_grace_s)
            except TimeoutError:
                self._notice(
                    f"{name} did not end within {running.spec.stop_grace_s:.0f} s of SIGTERM and was killed"
                )
                _signal(process, signal.SIGKILL)
                await process.wait()
        await running.task
        self._running.pop(name, None)
        self.on_change()

    async def stop_all(self) -> None:
        """End every process, stage by stage; within a stage together."""
        while self._running:
            stage = min(running.spec.stage for running in self._running.values())
            names = [name for name, running in self._running.items() if running.spec.stage == stage]
            await asyncio.gather(*(self.stop(name) for name in names))
            for name in names:
                self._running.pop(name, None)

    async def _spawn(self, spec: ProcessSpec) -> asyncio.subprocess.Process:
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        with spec.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *spec.argv,
                env=dict(spec.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._tell_reaper(f"+ {spec.stage} {process.pid}")
        return process

    async def _keep(self, running: _Running) -> None:
        spec = running.spec
        while (process := running.process) is not None:
            born_s = time.monotonic()
            self.on_change()
            code = await process.wait()
            self._tell_reaper(f"- {process.pid}")
            if running.stop_asked.is_set():
                return
            verdict = spec.rule.on_exit(time.monotonic(), time.monotonic() - born_s, code)
            if isinstance(verdict, StayDown):
                self.down[spec.name] = verdict.reason
                self._notice(f"{spec.name} ended ({told_exit(code)}) and stays down: {verdict.reason}")
                self.on_change()
                return
            self._notice(f"{spec.name} ended ({told_exit(code)}); again in {verdict.after_s:.1f} s")
            self.on_change()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(running.stop_asked.wait(), verdict.after_s)
            if running.stop_asked.is_set():
                return
            self.restarts[spec.name] = self.restarts.get(spec.name, 0) + 1
            running.process = await self._spawn(spec)
            if running.stop_asked.is_set():  # asked while it was being started: nobody else would end it
                _signal(running.process, signal.SIGKILL)

    def _tell_reaper(self, line: str) -> None:
        reaper = self._reaper
        if reaper is not None and reaper.stdin is not None and reaper.returncode is None:
            with contextlib.suppress(OSError):
                os.write(reaper.stdin.get_extra_info("pipe").fileno(), f"{line}\n".encode())


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal without polling: `Process.send_signal` may reap the child and lose its exit code."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def told_exit(code: int) -> str:
    """Return an exit code as people say it."""
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"

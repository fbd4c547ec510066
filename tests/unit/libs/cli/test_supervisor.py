"""The supervisor against real child processes: small Python programs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from libs.cli.restarts import RestartRule
from libs.cli.supervisor import ProcessSpec, StartFailed, Supervisor

SLEEPER = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
open(sys.argv[1], "a").write("up")
time.sleep(60)
"""
DEAF = SLEEPER.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
WRITES_ITS_END = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], "a").write(sys.argv[2] + " "), sys.exit(0)))
open(sys.argv[1] + sys.argv[2], "w").write("up")
time.sleep(60)
"""


def spec(
    tmp_path: Path,
    name: str,
    code: str,
    *args: str,
    stage: int = 0,
    grace_s: float = 5.0,
    rule: RestartRule | None = None,
    ready: Path | None = None,
) -> ProcessSpec:
    async def is_ready() -> bool:
        return ready is None or ready.exists()

    return ProcessSpec(
        name=name,
        argv=(sys.executable, "-I", "-S", "-c", code, *args),
        env=dict(os.environ),
        log=tmp_path / f"{name}.log",
        stage=stage,
        stop_grace_s=grace_s,
        is_ready=is_ready,
        rule=rule or RestartRule(),
    )


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}").exists() or "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "not in time"
        await asyncio.sleep(0.02)


async def test_a_killed_process_comes_back_with_a_new_id(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    async with Supervisor() as supervisor:
        await supervisor.start(spec(tmp_path, "one", SLEEPER, str(marks), ready=marks))
        await supervisor.until_ready("one", 10)
        first = supervisor.pids["one"]

        os.kill(first, signal.SIGKILL)

        await until(lambda: supervisor.pids.get("one", first) != first)
        assert supervisor.restarts == {"one": 1}
        assert supervisor.down == {}


async def test_a_configuration_error_stays_down_and_the_rest_keeps_running(tmp_path: Path) -> None:
    said: list[str] = []
    async with Supervisor(notice=said.append) as supervisor:
        await supervisor.start(spec(tmp_path, "good", SLEEPER, str(tmp_path / "marks")))
        await supervisor.start(
            spec(tmp_path, "bad", "import sys; print('field x'); sys.exit(2)", ready=tmp_path / "never")
        )

        with pytest.raises(StartFailed, match="field x"):
            await supervisor.until_ready("bad", 10)

        assert "good" in supervisor.pids
        assert any("configuration" in line for line in said)


async def test_the_lower_stage_has_ended_before_the_next_is_asked_to(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    async with Supervisor() as supervisor:
        for stage, name in enumerate(("strategy", "executor", "nats")):
            ready = Path(f"{marks}{name}")
            await supervisor.start(
                spec(tmp_path, name, WRITES_ITS_END, str(marks), name, stage=stage, ready=ready)
            )
            await supervisor.until_ready(name, 10)

        await supervisor.stop_all()

        assert marks.read_text().split() == ["strategy", "executor", "nats"]
        assert supervisor.pids == {}


async def test_a_process_deaf_to_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    said: list[str] = []
    async with Supervisor(notice=said.append) as supervisor:
        await supervisor.start(spec(tmp_path, "deaf", DEAF, str(marks), grace_s=0.3, ready=marks))
        await supervisor.until_ready("deaf", 10)
        pid = supervisor.pids["deaf"]

        await supervisor.stop("deaf")

        assert not is_alive(pid)
        assert any("killed" in line for line in said)


async def test_a_stop_in_the_pause_before_a_restart_starts_nothing(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        await supervisor.start(spec(tmp_path, "brief", "import sys; sys.exit(1)"))
        await until(lambda: not supervisor.pids)

        await supervisor.stop("brief")

        assert supervisor.pids == {}
        assert supervisor.restarts == {}


PARENT = """
import asyncio, os, sys
from pathlib import Path
from libs.cli.supervisor import ProcessSpec, Supervisor
SLEEPER, out = sys.argv[1], Path(sys.argv[2])
async def main():
    async def yes(): return True
    async with Supervisor() as s:
        for n in range(3):
            argv = (sys.executable, "-I", "-S", "-c", SLEEPER, str(out / "marks"))
            await s.start(ProcessSpec(f"c{n}", argv, dict(os.environ), out / "log", n, 5.0, yes))
        (out / "pids.tmp").write_text(" ".join(map(str, s.pids.values())))
        (out / "pids.tmp").rename(out / "pids")
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, SLEEPER, str(tmp_path)])
    try:
        await until((tmp_path / "pids").exists)
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        assert len(pids) == 3
        assert all(map(is_alive, pids))
    finally:
        parent.kill()
        parent.wait()

    await until(lambda: not any(map(is_alive, pids)))

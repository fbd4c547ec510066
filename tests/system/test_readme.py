"""Every README line that is a command, run as written.

The lines run in a folder that looks like the checkout (its entries are links) but
has a ``var`` of its own, so that a running demo is left in peace. `make test`, which
runs this file, is compared with what CI calls instead; the `nats` lines need the
stock command and say so when there is none.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.shared import shared_dir
from tests.system.living import ROOT, environment, is_alive, until
from tools.nats_cli import NoNatsCommand, nats_command

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
DEMO = "make demo DURATION=20"
TAPE = "make demo TAPE=../shared/data/kalshi-gold15m SPEED=10 DURATION=100"


@dataclass(frozen=True)
class Checkout:
    """A folder like the checkout, with a ``var`` of its own."""

    folder: Path

    @property
    def var(self) -> Path:
        return self.folder / "var"

    @property
    def env(self) -> dict[str, str]:
        path = os.environ["PATH"]
        with contextlib.suppress(NoNatsCommand):
            path = f"{nats_command().parent}:{path}"
        return environment(self.var) | {"PATH": path}

    def sh(self, script: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a block in one shell, as somebody who pastes it would; its background jobs go on."""
        out = self.folder / "out.txt"
        with out.open("w") as sink:  # a file, not a pipe: a job in the background would keep a pipe open
            done = subprocess.run(
                ("sh", "-e", "-c", script),
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
            )
        return subprocess.CompletedProcess(done.args, done.returncode, out.read_text(errors="replace"), "")


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    folder = tmp_path / "checkout"
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in {"var", ".git"}:
            (folder / entry.name).symlink_to(entry)
    (folder / "var").mkdir()
    if shared_dir().is_dir():
        (tmp_path / "shared").symlink_to(shared_dir().resolve())
    made = Checkout(folder)
    try:
        yield made
    finally:
        for env in ("sim", "demo"):
            if (made.var / "run" / f"{env}.json").exists():
                made.sh(f"bin/dora down --env {env}", 100)


def block_with(line: str) -> str:
    """Return the one block that holds the line."""
    found = [block for block in BLOCKS if line in block.splitlines()]
    assert len(found) == 1, f"one block of the README with {line!r}, found {len(found)}"
    return str(found[0])


def summary_of(checkout: Checkout) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((checkout.var / "demo" / "summary.json").read_bytes())
    return told


def assert_clean(summary: dict[str, Any]) -> None:
    for name in ("orphans", "duplicates", "unknown_open", "position_residual_e2", "cash_residual_e6"):
        assert summary[name] == 0, (name, summary)
    for name in ("md_messages", "books_published", "decisions", "targets", "orders_created", "fills"):
        assert summary[name] > 0, (name, summary)
    assert summary["tick_to_order_us"]["p50"] > 0
    assert set(summary["rss_mb"]) == {"marketdata", "strategy", "executor", "reconciler", "riskguard"}


def until_running(checkout: Checkout) -> None:
    until(lambda: "running" in _executor_line(checkout), 60, "an open gate")


def _executor_line(checkout: Checkout) -> str:
    said = checkout.sh("bin/dora status", 30).stdout
    return next((line for line in said.splitlines() if "executor" in line), "")


def test_every_block_is_run_by_a_test_of_this_file() -> None:
    """Each block is found by one of its lines below; a block added to the README fails here first."""
    here = Path(__file__).read_text(encoding="utf-8")

    for block in BLOCKS:
        lines = block.splitlines()
        assert any(line in (DEMO, TAPE) or f'"{line}"' in here or "nonce=$(" in line for line in lines), block


def test_the_synthetic_demo(checkout: Checkout) -> None:
    done = checkout.sh(block_with(DEMO), 200)

    assert done.returncode == 0, done.stdout[-3000:]
    assert_clean(summary_of(checkout))
    assert not list((checkout.var / "run").glob("*.json"))


@pytest.mark.skipif(not (shared_dir() / "data" / "kalshi-gold15m").is_dir(), reason="no recorded tapes")
def test_the_tape_demo_trades_twelve_markets_to_their_settlement(checkout: Checkout) -> None:
    done = checkout.sh(block_with(TAPE), 500)

    assert done.returncode == 0, done.stdout[-3000:]
    summary = summary_of(checkout)
    assert_clean(summary)
    assert len(summary["markets"]) == 12
    assert {market["state"] for market in summary["markets"]} == {"finalized"}


def test_make_test_is_what_ci_calls() -> None:
    assert "make test" in BLOCKS[2].splitlines()
    calls = [
        line
        for line in (ROOT / ".ci" / "run").read_text().splitlines()
        if line and not line.startswith(("#", "set ", "cd ", "KALSHI_SPEC_DIR", "export "))
    ]
    assert calls == ["make test"]


def test_the_command_line(checkout: Checkout) -> None:
    lines = block_with("bin/dora up --env sim &").splitlines()
    assert lines[0] == "bin/dora up --env sim &"
    assert checkout.sh(f"{lines[0]}\n", 30).returncode == 0
    until((checkout.var / "run" / "sim.json").exists, 60, "a run file")
    until_running(checkout)

    for line in lines[1:]:
        done = checkout.sh(line, 120)
        assert done.returncode == 0, (line, done.stdout)
        if line.startswith("bin/dora halt"):
            assert "nothing rests" in done.stdout

    assert not (checkout.var / "run" / "sim.json").exists()


def test_the_stock_nats_command(checkout: Checkout) -> None:
    try:
        nats_command()
    except NoNatsCommand as e:
        pytest.skip(str(e))
    assert checkout.sh("bin/dora up --env sim &", 30).returncode == 0
    until((checkout.var / "run" / "sim.json").exists, 60, "a run file")
    until_running(checkout)
    ways_in = block_with("nats micro ls")
    environment_line = ways_in.splitlines()[0]

    asked = checkout.sh(ways_in, 120)

    assert asked.returncode == 0, asked.stdout
    for word in ("dora-executor", "dora-strategy", '"state":"running"', "dora.sim.md.top.", "SIM_CONTROL"):
        assert word in asked.stdout, asked.stdout
    steps = block_with("nats req dora.sim.ctl.halt.operator 'fat finger' --replies=2")
    two_steps = next(block for block in BLOCKS if "nonce=$(" in block)
    for line in steps.splitlines():
        done = checkout.sh(f"{environment_line}\n{line}", 60)
        assert done.returncode == 0, (line, done.stdout)
        until(lambda: "halted" in _executor_line(checkout), 20, f"halted by {line}")
        if "--replies=2" in line:
            assert "SIM_CONTROL" in done.stdout, done.stdout
            assert '"state":"halted"' in done.stdout, done.stdout
        resumed = checkout.sh(f"{environment_line}\n{two_steps}", 60)
        assert resumed.returncode == 0, resumed.stdout
        until_running(checkout)


def test_another_venue(checkout: Checkout) -> None:
    alone = block_with("bin/dora sim --port 0 &")
    others = block_with("bin/dora status --env demo").splitlines()
    asking = [i for i, line in enumerate(others) if line.endswith("&")]
    assert len(asking) == 1
    try:
        assert checkout.sh(alone, 30).returncode == 0
        until((checkout.var / "sim" / "venue.json").exists, 60, "venue.json")
        assert checkout.sh("\n".join(others[: asking[0] + 1]), 30).returncode == 0
        until((checkout.var / "run" / "demo.json").exists, 60, "a run file")

        def status() -> bool:
            return checkout.sh(others[asking[0] + 1], 30).returncode == 0

        until(status, 60, "a status of every service")
        for line in others[asking[0] + 2 :]:
            done = checkout.sh(line, 120)
            assert done.returncode == 0, (line, done.stdout)
    finally:
        with contextlib.suppress(OSError, ValueError, KeyError):
            pid = json.loads((checkout.var / "sim" / "venue.json").read_bytes())["pid"]
            os.kill(pid, signal.SIGTERM)
            until(lambda: not is_alive(pid), 20, "the venue's end")


def test_help_lists_the_targets(checkout: Checkout) -> None:
    done = checkout.sh("make help", 30)

    assert done.returncode == 0
    for target in ("setup", "demo", "test", "ci", "fmt", "lint", "type", "arch", "bench"):
        assert f"make {target} " in done.stdout


def test_the_bench_prints_and_writes_its_figures(checkout: Checkout) -> None:
    assert "make bench" in block_with("make help").splitlines()

    done = checkout.sh("BENCH_DEMO_S=20 make bench", 300)

    assert done.returncode == 0, done.stdout[-3000:]
    figures = json.loads((checkout.var / "bench.json").read_bytes())
    assert figures["tick_to_order"]["floor_p50_us"] > 0
    assert figures["rss_mb"]


@pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="no terminals here")
def test_ctrl_c_on_a_terminal_ends_make_demo_with_zero(checkout: Checkout) -> None:
    """What the README promises: without DURATION it runs until Ctrl-C, and that is no failure."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(checkout.folder)
        os.execvpe("make", ["make", "demo"], checkout.env | {"TERM": "xterm"})  # noqa: S606 - the child
    seen = b""
    deadline_s = time.monotonic() + 90
    pressed = False
    status: int | None = None
    os.set_blocking(terminal, False)
    while time.monotonic() < deadline_s + 60:
        with contextlib.suppress(BlockingIOError, OSError):
            seen += os.read(terminal, 65_536)
        if not pressed and b"running" in seen:
            os.write(terminal, b"\x03")
            pressed = True
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    with contextlib.suppress(BlockingIOError, OSError):
        seen += os.read(terminal, 65_536)
    assert pressed, seen[-2000:]
    assert status is not None
    assert os.waitstatus_to_exitcode(status) == 0, seen[-2000:].decode(errors="replace")
    assert_residuals_are_zero = summary_of(checkout)
    assert assert_residuals_are_zero["cash_residual_e6"] == 0
    assert not list((checkout.var / "run").glob("*.json"))

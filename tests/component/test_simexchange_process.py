"""The venue as a process of its own: what an operator starts, reads and stops."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.recording import busy_lines, write_recording

ROOT = Path(__file__).resolve().parents[2]


def environment(tmp_path: Path, **sim: object) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("DORA", "NATS", "REDIS"))}
    clean["DORA__SIM__VENUE_FILE"] = str(tmp_path / "venue.json")
    return clean | {f"DORA__SIM__{name.upper()}": str(value) for name, value in sim.items()}


def run(tmp_path: Path, *arguments: str, **sim: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.simexchange", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(tmp_path, **sim),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    tape = write_recording(tmp_path / "tape", busy_lines(50))
    command = [sys.executable, "-m", "services.simexchange"]
    env = environment(tmp_path, tape=tape)
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


def venue_file(tmp_path: Path) -> Any:
    """Return `venue.json` once it is there; it appears whole or not at all."""
    path = tmp_path / "venue.json"
    deadline = time.monotonic() + 15
    while not path.exists():
        assert time.monotonic() < deadline, "venue.json within 15 s"
        time.sleep(0.01)
    return json.loads(path.read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_what_its_file_says_and_ends_cleanly(
    process: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    at = venue_file(tmp_path)
    assert at["pid"] == process.pid
    assert len(httpx.get(f"{at['rest_url']}/markets").json()["markets"]) == 1
    for account in at["accounts"]:
        key = Path(account["key_file"])
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert {a["name"] for a in at["accounts"]} == {
        "trade",
        "marketdata",
        "reconciler",
        "riskguard",
        "outsider",
    }
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert not (tmp_path / "venue.json").exists()
    events = [json.loads(line)["event_type"] for line in out.splitlines()]
    assert (events[0], events[-1]) == ("STARTUP", "SHUTDOWN")


def test_check_config_prints_the_configuration_and_its_hash(tmp_path: Path) -> None:
    done = run(tmp_path, "--check-config", speed=2)
    assert done.returncode == 0
    shown = json.loads(done.stdout)
    assert shown["config"]["sim"]["speed"] == 2
    assert shown["hash"]


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("speed", "fast", "sim.speed"),
        ("speed", "0", "sim.speed"),
        ("queue_model", "hopeful", "sim.queue_model"),
        ("tier", "gold", "sim.tier"),
        ("tape", "/no/such/tape", "sim.tape"),
        ("latency_ms_min", "5", "sim.latency_ms_max"),
        ("colour", "red", "sim.colour"),
    ],
)
def test_a_wrong_value_is_named_and_ends_with_two(
    tmp_path: Path, field: str, value: str, complaint: str
) -> None:
    done = run(tmp_path, **{field: value})
    assert done.returncode == 2
    assert complaint in done.stderr
    assert not (tmp_path / "venue.json").exists()

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from libs.cli import runfile


def run_file(pid: int) -> runfile.RunFile:
    return runfile.RunFile(
        env="sim",
        account="main",
        pid=pid,
        started_ns=1,
        nats_url="nats://127.0.0.1:1",
        nats_monitor_url="",
        redis_url="",
        venue_rest_url="",
        venue_ws_url="",
        venue_key_id="",
        venue_key_file="",
        nats_password_file="",
        credentials={},
        metrics_ports={"executor": 5},
        pids={"executor": 6},
        state_dirs={},
        logs={},
    )


def test_what_was_written_is_read_and_is_json(tmp_path: Path) -> None:
    path = tmp_path / "run" / "sim.json"
    runfile.write(path, run_file(os.getpid()))

    assert runfile.read(path) == run_file(os.getpid())
    assert json.loads(path.read_text())["metrics_ports"] == {"executor": 5}
    assert list(path.parent.iterdir()) == [path]


def test_a_file_whose_process_is_gone_says_so(tmp_path: Path) -> None:
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    path = tmp_path / "sim.json"
    runfile.write(path, run_file(int(gone.stdout)))

    with pytest.raises(runfile.NotRunning, match="gone"):
        runfile.read(path)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_a_missing_or_broken_file_is_not_running(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "sim.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(runfile.NotRunning):
        runfile.read(path)


def test_unknown_fields_of_a_newer_version_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "sim.json"
    tree = msgspec.to_builtins(run_file(os.getpid())) | {"new": 1}
    path.write_bytes(msgspec.json.encode(tree))

    assert runfile.read(path).pid == os.getpid()

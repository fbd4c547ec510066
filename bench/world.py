"""A whole Dora for one measurement, in a folder of its own, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from libs.cli.runfile import NotRunning, RunFile, read

READY_S = 90.0


def demo(seconds: int, *options: str) -> dict[str, Any]:
    """Run the demo to its end and return its summary.

    Raises:
        RuntimeError: The demo did not end well; the text has its last lines.
    """
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "libs.cli", "demo", "--duration", str(seconds), *options],
            env={**os.environ, "DORA_VAR": folder},
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds * 4 + 120,
        )
        summary = Path(folder) / "demo" / "summary.json"
        if done.returncode or not summary.exists():
            raise RuntimeError(
                f"demo that exits 0, was {done.returncode}: {done.stdout[-1500:]}{done.stderr[-500:]}"
            )
        return msgspec.json.decode(summary.read_bytes(), type=dict[str, Any])


@contextlib.contextmanager
def up(*options: str) -> Iterator[RunFile]:
    """Yield a running Dora in the simulated environment."""
    with tempfile.TemporaryDirectory() as folder:
        run_file = Path(folder) / "run" / "sim.json"
        log = (Path(folder) / "up.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "libs.cli", "up", "--env", "sim", *options],
            env={**os.environ, "DORA_VAR": folder},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _ready(run_file, process)
        finally:
            process.terminate()
            process.wait(timeout=60)
            log.close()


def _ready(run_file: Path, process: subprocess.Popen[bytes]) -> RunFile:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(NotRunning):
            run = read(run_file)
            if len(run.pids) >= 6:
                return run
        time.sleep(0.2)
    raise TimeoutError(f"a running Dora within {READY_S:.0f} s, was not")

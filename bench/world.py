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

from libs.cli.runfile import NotRunning, RunFile, read

READY_S = 90.0


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

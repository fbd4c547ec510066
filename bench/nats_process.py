"""A real NATS server for one measurement: synced JetStream, any free port, gone afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class NatsProcess:
    """Starts the server on entry and ends it on exit; ``url`` is where it listens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        beside = Path(sys.executable).parent / "nats-server"
        binary = str(beside) if beside.exists() else shutil.which("nats-server")
        if binary is None:
            raise FileNotFoundError("nats-server beside the interpreter or on the path, found neither")
        config = self._folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:-1"\nports_file_dir: "{self._folder}"\n'
            f'jetstream {{ store_dir: "{self._folder / "store"}", sync_interval: always }}\n'
        )
        self._process = subprocess.Popen(
            [binary, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        ports = self._folder / f"nats-server_{self._process.pid}.ports"
        deadline = time.monotonic() + 10
        while not ports.exists() or not ports.read_text().strip():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise TimeoutError("nats-server that is ready within 10 s, was not")
            time.sleep(0.05)
        self.url = json.loads(ports.read_text())["nats"][0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)

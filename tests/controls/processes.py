"""One service as a process: started, stopped, frozen and killed by a test, restarted by nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from pathlib import Path

from libs.cli.places import ROOT
from libs.cli.world import clean_env
from tests.support.nats_server import wait_until_stopped

BUILD = "controls"
"""All processes say the same build, whatever is committed while they run."""


class ServiceProcess:
    """`python -m services.<name>` with an environment of its own.

    Attributes:
        told: Its environment beyond the clean one; changed between two starts to configure it anew.
    """

    def __init__(self, name: str, folder: Path, told: dict[str, str]) -> None:
        self.name = name
        self.told = {"BOT_VERSION": BUILD} | told
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id of the running process."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Return whether it runs or stands still."""
        return self._process is not None and self._process.poll() is None

    def start(self, **more: str) -> None:
        """Start it; ``more`` is for this start alone."""
        assert not self.is_alive, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"services.{self.name}"],
                env=clean_env() | self.told | more,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def freeze(self) -> None:
        """Let it stand still: the nastiest failure, because nothing disconnects."""
        self._signal(signal.SIGSTOP)
        wait_until_stopped(self.pid)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash does; nothing restarts it."""
        if self.is_alive:
            self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)

    async def end(self, patience_s: float = 20.0) -> None:
        """Ask it to end and wait; kill it when it does not."""
        if self.is_alive:
            self._signal(signal.SIGCONT)
            self._signal(signal.SIGTERM)
            assert self._process is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, patience_s)
        self.kill()

    def tail(self, characters: int = 3_000) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} was never started"
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

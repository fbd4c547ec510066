"""What stands in for a machine's clocks, threads and file around one life of the executor."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.common.bus.api import Message
from libs.common.runtime.latch_file import LatchFile
from libs.common.runtime.log import EventLog
from services.executor.shell.halt_listener import HaltListener
from services.executor.shell.service import ExecutorApp
from tests.faults.bus import ProcessBus
from tests.faults.loop import VirtualLoop
from tests.faults.process import Kind, Process

START_NS: Final = 1_800_000_000_000_000_000
MONO_NS: Final = 1_000_000_000_000
KEY_ID: Final = "trade"
Tell = Callable[[str, str, dict[str, object]], None]
"""Takes a line of the log: event, message, fields."""


class WorldClock:
    """The clocks of everybody whose machine runs."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now_ns(self) -> int:
        """Return Unix time."""
        return START_NS + self._loop.now_ns

    def mono_ns(self) -> int:
        """Return the monotonic clock."""
        return MONO_NS + self._loop.now_ns


class ProcessClock(WorldClock):
    """The clocks of one process: the wall clock is set right on waking, the monotonic one stood still."""

    def __init__(self, loop: VirtualLoop, process: Process) -> None:
        super().__init__(loop)
        self._process = process

    def mono_ns(self) -> int:
        """Return the monotonic clock."""
        return super().mono_ns() - self._process.behind_ns


class Shelf:
    """The one file of a machine, as a value that outlives its processes; stands for a path."""

    def __init__(self) -> None:
        self.data: bytes | None = None

    def read_bytes(self) -> bytes:
        """Return the file's bytes."""
        if self.data is None:
            raise FileNotFoundError("latch")
        return self.data


class ShelfLatch(LatchFile):
    """The latch file, written in one piece or not at all."""

    def __init__(self, shelf: Shelf, process: Process) -> None:
        super().__init__(Path("nowhere"), "executor")
        path: Any = shelf
        self._path = path
        self._shelf = shelf
        self._process = process

    def _write(self, record: Any) -> None:
        data = msgspec.json.encode(record)
        self._process.leave(Kind.EFFECT, "write latch", lambda _: setattr(self._shelf, "data", data))


class AtOnce:
    """A thread of the latch writer's that needs no thread."""

    def submit(self, work: Callable[..., None], *args: Any) -> Future[None]:
        """Do the work now."""
        future: Future[None] = Future()
        work(*args)
        future.set_result(None)
        return future


class LoopListener(HaltListener):
    """The halt listener without its thread: hears on the loop itself."""

    def __init__(self, wired: HaltListener, bus: ProcessBus, loop: VirtualLoop, clock: WorldClock) -> None:
        super().__init__(wired._connect, wired._pattern, wired._flag, wired._on_heard)
        self._bus = bus
        self._main = loop
        self._clock = clock

    async def start(self) -> None:
        """Listen."""
        await self._bus.each(self._pattern, self._on_message)

    async def _on_message(self, message: Message) -> None:
        await super()._on_message(message)
        self._flag.heard_ns = self._clock.mono_ns()

    @property
    def is_alive(self) -> bool:
        """Return True."""
        return True

    async def stop(self) -> None:
        """Do nothing."""


class ConstantSigner:
    """Signs at no cost; the venue's ring believes it."""

    key_id = KEY_ID

    def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        """Return headers with a stamp of now."""
        return {
            "KALSHI-ACCESS-KEY": KEY_ID,
            "KALSHI-ACCESS-TIMESTAMP": str(now_ms),
            "KALSHI-ACCESS-SIGNATURE": "c2lnbmVk",
        }


class SilentLog(EventLog):
    """Remembers nothing, or tells the world."""

    def __init__(self, tell: Tell | None) -> None:
        super().__init__()
        self._tell = tell

    def event(
        self,
        event_type: str,
        message: str = "",
        *,
        level: str = "INFO",
        error: BaseException | None = None,
        **fields: object,
    ) -> None:
        """Pass a line on."""
        if self._tell is not None:
            self._tell(event_type, message + (f" {error!r}" if error else ""), fields)


def furnish(app: ExecutorApp, bus: ProcessBus, process: Process, clock: WorldClock, shelf: Shelf) -> None:
    """Put these in place of what the wiring made: nothing of the executor's own is exchanged."""
    app._listener = LoopListener(app._listener, bus, process.loop, clock)
    presigner: Any = app._presigner
    presigner.start = presigner.stop = lambda: None
    presigner._signer = ConstantSigner()
    writer: Any = app._performer._latch
    app._latch = writer._latch = ShelfLatch(shelf, process)
    writer._thread = AtOnce()

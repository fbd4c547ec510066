"""Hear a halt even when the main loop is busy: an own connection in an own thread.

The thread does one thing: it counts halts. The sender's guard compares that count
with what the core has folded in, right before the bytes of each create leave, so a
halt stops the next create whatever the main loop is doing. Nothing here can open
the gate; the count only grows.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable

from libs.common.bus.api import Bus, Message

_SWITCH_S = 0.000_2

OnClosed = Callable[[BaseException], None]
Connect = Callable[[OnClosed], Awaitable[Bus]]
OnHeard = Callable[[str, bytes], None]


class HaltFlag:
    """How many halts were heard, and how many of them the core has folded in.

    Written by one thread each, read by both; whole integers, so no lock.
    """

    def __init__(self) -> None:
        self.heard = 0
        self.folded = 0
        self.heard_ns = 0

    @property
    def is_up(self) -> bool:
        """Return whether a halt was heard that the core does not know yet."""
        return self.heard != self.folded


class HaltListener:
    """The thread.

    Args:
        connect: Makes the thread's own bus connection, inside the thread; calls what it is given
            when that connection is gone for good.
        pattern: ``dora.<env>.ctl.halt.>``.
        flag: Raised before anything else is done.
        on_heard: Called in the main loop with subject and payload.
    """

    def __init__(self, connect: Connect, pattern: str, flag: HaltFlag, on_heard: OnHeard) -> None:
        self._connect = connect
        self._pattern = pattern
        self._flag = flag
        self._on_heard = on_heard
        self._main: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="halt-listener", daemon=True)

    async def start(self) -> None:
        """Start the thread and return once it listens.

        Raises:
            RuntimeError: It could not connect; without ears nothing may run.
        """
        self._main = asyncio.get_running_loop()
        # A thread that wakes up waits this long for a busy main loop, several times a message: with Python's
        # 5 ms a halt was heard 8 ms late (p99) while targets were being planned.
        sys.setswitchinterval(_SWITCH_S)
        self._thread.start()
        await asyncio.to_thread(self._ready.wait, 15.0)
        if self.failure is not None or not self._ready.is_set():
            raise RuntimeError("halt listener could not connect") from self.failure

    @property
    def heard_ns(self) -> int:
        """Return the monotonic time at which the newest halt closed the gate, 0 before any."""
        return self._flag.heard_ns

    @property
    def is_alive(self) -> bool:
        """Return whether the thread still listens."""
        return self._thread.is_alive() and self.failure is None

    async def stop(self) -> None:
        """End the thread."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            await asyncio.to_thread(self._thread.join, 5.0)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._listen())
        except BaseException as e:  # noqa: BLE001 - the thread's outermost frame: kept for the main loop to see
            self.failure = e
        finally:
            self._ready.set()

    async def _listen(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        bus = await self._connect(self._on_closed)
        try:
            await bus.each(self._pattern, self._on_message)
            self._ready.set()
            await self._stop.wait()
        finally:
            await bus.drain()

    def _on_closed(self, error: BaseException) -> None:
        # Deaf is dead: the main loop sees it with its next tick.
        self.failure = error
        if self._stop is not None:
            self._stop.set()

    async def _on_message(self, message: Message) -> None:
        self._flag.heard_ns = time.monotonic_ns()
        self._flag.heard += 1
        assert self._main is not None, "started"
        self._main.call_soon_threadsafe(self._fold, message.subject, message.data)

    def _fold(self, subject: str, data: bytes) -> None:
        # In the main loop: the core takes it first, only then may the flag say "folded".
        self._on_heard(subject, data)
        self._flag.folded += 1


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    # Fewer turns from the socket to the flag, and each turn is one more wait for the interpreter.
    try:
        import uvloop  # no build for every platform: without it everything works, slower
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory

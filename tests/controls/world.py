"""The rig in a thread with a loop of its own: it goes on living between tests and beside forked runs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

from tests.controls.rig import Rig, a_rig

T = TypeVar("T")


class World:
    """A running rig and a way to do something with it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rig: Rig) -> None:
        self._loop = loop
        self.rig = rig

    def run(self, act: Callable[[Rig], Awaitable[T]], timeout_s: float = 180.0) -> T:
        """Do something in the rig's loop and return its result; its exception is ours."""

        async def acted() -> T:
            return await act(self.rig)

        return asyncio.run_coroutine_threadsafe(acted(), self._loop).result(timeout_s)


@contextlib.contextmanager
def a_world(folder: Path) -> Iterator[World]:
    """Yield a rig that runs until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="rig", daemon=True)
    thread.start()
    making = a_rig(folder)
    try:
        rig = asyncio.run_coroutine_threadsafe(making.__aenter__(), loop).result(180)
        try:
            yield World(loop, rig)
        finally:
            asyncio.run_coroutine_threadsafe(making.__aexit__(None, None, None), loop).result(120)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()

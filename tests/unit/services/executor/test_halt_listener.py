"""The thread that hears halts says so when it has gone deaf."""

from __future__ import annotations

import asyncio

from libs.common.bus.api import Bus
from libs.common.bus.memory import MemoryBus
from services.executor.shell.halt_listener import HaltFlag, HaltListener, OnClosed
from tests.support.eventually import eventually


async def test_listener_whose_connection_is_gone_for_good_is_not_alive() -> None:
    closed: list[OnClosed] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def connect(on_closed: OnClosed) -> Bus:
        closed.append(on_closed)
        loops.append(asyncio.get_running_loop())
        return MemoryBus()

    listener = HaltListener(connect, "dora.sim.ctl.halt.>", HaltFlag(), lambda _subject, _data: None)
    await listener.start()
    assert listener.is_alive
    loops[0].call_soon_threadsafe(closed[0], RuntimeError("closed"))
    await eventually(lambda: not listener.is_alive)
    await listener.stop()

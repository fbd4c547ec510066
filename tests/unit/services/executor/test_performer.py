"""What only tells waits for orders on their way, for a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import pytest

from libs.common.runtime.log import EventLog
from services.executor.core.effects import Log
from services.executor.core.engine import Engine
from services.executor.shell.latch_writer import LatchWriter
from services.executor.shell.performer import Performer
from services.executor.shell.publisher import Publisher
from tests.support.eventually import eventually


class Lines:
    """Takes log lines in place of the real log."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def event(self, event_type: str, message: str = "", **fields: object) -> None:
        del message, fields
        self.told.append(event_type)


@contextlib.asynccontextmanager
async def performing(lines: Lines) -> AsyncIterator[Performer]:
    performer = Performer(
        engine=cast("Engine", None),
        publisher=cast("Publisher", None),
        latch=cast("LatchWriter", None),
        log=cast("EventLog", lines),
    )
    performer.on_changed = lambda: None
    task = asyncio.create_task(performer.run())
    try:
        yield performer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_nothing_is_told_before_the_order_has_passed() -> None:
    lines, is_leaving = Lines(), True
    async with performing(lines) as performer:
        performer.is_order_leaving = lambda: is_leaving
        performer.perform([Log("ONE"), Log("TWO")])
        for _ in range(5):
            await asyncio.sleep(0)
        while_leaving = list(lines.told)
        is_leaving = False
        performer.orders_passed()
        await eventually(lambda: len(lines.told) == 2)

    assert while_leaving == []
    assert lines.told == ["ONE", "TWO"]


async def test_an_order_that_does_not_pass_holds_up_the_telling_for_a_moment_only() -> None:
    lines = Lines()
    async with performing(lines) as performer:
        performer.is_order_leaving = lambda: True
        performer.perform([Log("ONE")])
        await eventually(lambda: lines.told == ["ONE"])


async def test_where_orders_leave_without_pause_the_wait_is_one_for_all_that_is_told() -> None:
    """Waiting anew before every line, the executor fell seconds behind with fills, and was halted for it."""
    lines, loop = Lines(), asyncio.get_running_loop()
    async with performing(lines) as performer:
        performer.is_order_leaving = lambda: True
        began_s = loop.time()
        performer.perform([Log("LINE")] * 500)
        await eventually(lambda: len(lines.told) == 500)

    assert loop.time() - began_s < 500 * 0.02 / 4


@pytest.mark.parametrize(("turn_s", "told"), [(60.0, [4, 1, 1]), (0.0, [1] * 6)])
async def test_what_is_late_is_told_in_a_row_while_the_turn_is_short(
    monkeypatch: pytest.MonkeyPatch, turn_s: float, told: list[int]
) -> None:
    """On a loaded machine one thing told a turn of the loop made fills seconds late."""
    monkeypatch.setattr("services.executor.shell.performer._LATE_TURN_S", turn_s)
    lines, turns = Lines(), list[int]()
    performer = Performer(
        engine=cast("Engine", None),
        publisher=cast("Publisher", None),
        latch=cast("LatchWriter", None),
        log=cast("EventLog", lines),
    )
    now_s = asyncio.get_running_loop().time()
    performer._telling.extend((now_s - 0.3, Log("LATE")) for _ in range(3))
    performer._telling.extend((now_s + 60.0, Log("NEW")) for _ in range(3))
    while performer._telling:
        before = len(lines.told)
        performer._tell_some()
        turns.append(len(lines.told) - before)

    assert lines.told == ["LATE"] * 3 + ["NEW"] * 3
    assert turns == told

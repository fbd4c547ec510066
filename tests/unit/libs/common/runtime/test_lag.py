"""Event-loop lag: measured by an overslept sleep, told once by whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from libs.common.observability.metrics import Metrics
from libs.common.runtime.clock import SystemClock
from libs.common.runtime.lag import LoopLag
from libs.common.runtime.log import EventLog

STALL_S = 0.3
ENOUGH_NS = 150_000_000
"""Half of the stall: the sleep that it fell into began somewhere before it."""


@pytest.fixture
async def lag() -> AsyncIterator[LoopLag]:
    measured = LoopLag(SystemClock(), Metrics(), EventLog())
    task = asyncio.create_task(measured.run())
    await asyncio.sleep(0.02)
    yield measured
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_stall_is_told_by_whoever_asks_first_after_it(lag: LoopLag) -> None:
    """The heartbeat may wake before the measure does; a beat without the stall would be a lie."""
    lag.tell_worst_ns()
    time.sleep(STALL_S)
    assert lag.tell_worst_ns() > ENOUGH_NS


async def test_a_stall_is_told_after_it_was_measured_and_then_no_more(lag: LoopLag) -> None:
    time.sleep(STALL_S)
    await asyncio.sleep(0.05)
    assert lag.tell_worst_ns() > ENOUGH_NS
    assert lag.tell_worst_ns() < ENOUGH_NS
    assert lag.max_ns > ENOUGH_NS


async def test_nothing_is_overdue_before_it_runs() -> None:
    assert LoopLag(SystemClock(), Metrics(), EventLog()).tell_worst_ns() == 0

"""The collector runs by the clock, and by itself again afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from libs.common.runtime.garbage import collect_by_clock
from tests.support.eventually import eventually


class Ring:
    """Holds itself, so that counting references does not free it."""

    def __init__(self) -> None:
        self.me = self


@contextlib.asynccontextmanager
async def collecting(**times_s: float) -> AsyncIterator[None]:
    task = asyncio.create_task(collect_by_clock(**times_s))
    try:
        await asyncio.sleep(0)
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        gc.unfreeze()


async def test_the_collector_does_not_run_by_itself_meanwhile() -> None:
    async with collecting():
        assert not gc.isenabled()

    assert gc.isenabled()


@pytest.mark.parametrize(
    "times_s",
    [{"young_s": 0.001}, {"young_s": 0.001, "settled_s": 0.0}, {"young_s": 0.001, "whole_s": 0.0}],
)
async def test_a_cycle_is_freed(times_s: dict[str, float]) -> None:
    async with collecting(**times_s):
        gone = weakref.ref(Ring())
        await eventually(lambda: gone() is None)


async def test_what_the_first_seconds_made_is_not_looked_at_again() -> None:
    frozen = gc.get_freeze_count()
    async with collecting(young_s=0.001, settled_s=0.0):
        await eventually(lambda: gc.get_freeze_count() > frozen)

"""Waiting for what must become true, without sleeping longer than it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def eventually(
    condition: Callable[[], object] | Callable[[], Awaitable[object]],
    timeout_s: float = 5,
    *,
    poll_s: float = 0.005,
    what: str = "",
) -> None:
    """Return once the condition holds; fail with its last value when it does not in time.

    A condition that raises AssertionError counts as not yet true.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            value = condition()
            if isinstance(value, Awaitable):
                value = await value
        except AssertionError as e:
            value = e
            holds = False
        else:
            holds = bool(value)
        if holds:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'condition'} within {timeout_s} s, was {value!r}")
        await asyncio.sleep(poll_s)

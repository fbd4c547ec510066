"""The executor stands still for a second and a half and goes on: its next heartbeat tells how late it was.

The window is the stall itself, which nobody can tell of before it is over. Long stalls are silences.
"""

from __future__ import annotations

import asyncio

from tests.controls.rig import Rig

LIMITS = {"health.loop_lag_ms": 1_000}
_STALL_S = 1.5
WINDOW_MS = 1_500


async def provoke(rig: Rig) -> float:
    """Let the executor stand still for a moment."""
    before_s = rig.now_s()
    rig.executor.freeze()
    try:
        await asyncio.sleep(_STALL_S)
    finally:
        rig.executor.thaw()
    return before_s


async def relieve(rig: Rig) -> None:
    """Wait: it was late once, and is forgiven after two seconds."""
    await rig.until_running()

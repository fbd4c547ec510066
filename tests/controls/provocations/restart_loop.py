"""Strategy starts four times within a few seconds under its own name: each time a new run.

The window of the limit is short so that earlier starts do not count.
"""

from __future__ import annotations

from tests.controls.rig import Rig

LIMITS = {"health.boots_max": 3, "health.boots_window_ms": 10_000}
_STARTS = 4


async def provoke(rig: Rig) -> float:
    """Start again and again."""
    before_s = rig.now_s()
    for number in range(_STARTS):
        beat = rig.played.beats["strategy"]
        beat.run, beat.counter = f"start-{number}", 0
        await rig.played.say_beats()
    return before_s


async def relieve(rig: Rig) -> None:
    """Widen the limit: starts are forgotten only by time."""
    await rig.widen()

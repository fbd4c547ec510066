"""The venue's answers carry a date ten seconds ahead of ours.

The window is three answers, without which nothing is proven: a state of the exchange is asked for each
500 ms, and listings come between.
"""

from __future__ import annotations

from tests.controls.rig import Rig

LIMITS = {"health.clock_skew_ms": 2_000}
WINDOW_MS = 1_500


async def provoke(rig: Rig) -> float:
    """Set the venue's date ahead."""
    before_s = rig.now_s()
    await rig.venue.ask("date", {"seconds": 10.0})
    return before_s


async def relieve(rig: Rig) -> None:
    """Set it right."""
    await rig.venue.ask("date", {"seconds": 0.0})

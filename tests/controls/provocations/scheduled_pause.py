"""The exchange announces a maintenance window that is about to begin.

Seen with the next reading of the schedule, so the window is the time between two.
"""

from __future__ import annotations

from tests.controls.rig import Rig

LIMITS = {"slow.schedule_lead_ms": 180_000}
SETTINGS = {"timing.slow_ms": 500}
WINDOW_MS = 500


async def provoke(rig: Rig) -> float:
    """Announce one that begins in two minutes."""
    before_s = rig.now_s()
    await rig.venue.ask("schedule", {"maintenance": [[120, 7_320]]})
    return before_s


async def relieve(rig: Rig) -> None:
    """Call it off."""
    await rig.venue.ask("schedule", {})

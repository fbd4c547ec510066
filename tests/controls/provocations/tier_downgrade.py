"""The venue lowers the account's tier.

Seen with the next reading of the account's limits, so the window is the time between two. It
opens by itself when the time to settle is over, with the lower tier; `relieve` only leaves the
next provocation the tier that it expects.
"""

from __future__ import annotations

from tests.controls.counter import OURS
from tests.controls.rig import Rig

LIMITS = {"slow.tier_settle_ms": 3_000}
SETTINGS = {"timing.slow_ms": 500}
WINDOW_MS = 500


async def provoke(rig: Rig) -> float:
    """Lower it by one."""
    before_s = rig.now_s()
    await rig.venue.ask("tier", {"account": OURS, "tier": "prime"})
    return before_s


async def relieve(rig: Rig) -> None:
    """Give it back when the pause is over."""
    await rig.until_running()
    await rig.venue.ask("tier", {"account": OURS, "tier": "prestige"})

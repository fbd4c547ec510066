"""One fill more than a minute may have: a resting order is taken in small pieces."""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.counter import OURS
from tests.controls.rig import Rig

LIMITS = {"conduct.fills_per_minute": 5}


async def provoke(rig: Rig) -> float:
    """Let the outsider take six times; nothing else trades within the minute."""
    market = await rig.fresh_market()
    await rig.venue.place(OURS, market, Side.BID, 5_000, 600)
    for _ in range(5):
        await rig.venue.take(market, Side.BID, 5_000, 100)
    return await rig.venue.take(market, Side.BID, 5_000, 100)

"""The same side at the same price is filled and put back four times within seconds."""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.rig import Rig

LIMITS = {"conduct.repeated_executions": 3, "conduct.repeated_window_ms": 10_000}


async def provoke(rig: Rig) -> float:
    """Execute four orders that differ in nothing; the last one is one too many."""
    market = await rig.fresh_market()
    for _ in range(3):
        await rig.venue.fill(market, Side.BID, 5_000, 100)
    return await rig.venue.fill(market, Side.BID, 5_000, 100)

"""One fill that is larger than all of a minute may be."""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.rig import Rig

LIMITS = {"conduct.contracts_per_minute_e2": 2_000}


async def provoke(rig: Rig) -> float:
    """Buy 20.01 contracts at once."""
    return await rig.venue.fill(await rig.fresh_market(), Side.BID, 5_000, 2_001)

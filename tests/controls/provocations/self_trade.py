"""The venue's self-trade prevention is broken, and an order of ours meets another one of ours."""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.counter import OURS
from tests.controls.rig import Rig

LIMITS = {"conduct.self_trades": 0}


async def provoke(rig: Rig) -> float:
    """Trade one contract with ourselves."""
    market = await rig.fresh_market()
    await rig.venue.switch("self_trades", probability=1.0)
    await rig.venue.place(OURS, market, Side.BID, 5_000, 100)
    before_s = rig.now_s()
    await rig.venue.place(OURS, market, Side.ASK, 5_000, 100, "immediate_or_cancel")
    return before_s


async def relieve(rig: Rig) -> None:
    """Mend the venue; the trade stays on the day's account, so the limit must let it pass."""
    await rig.venue.switch("self_trades", probability=0.0)
    await rig.widen()

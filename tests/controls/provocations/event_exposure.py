"""We buy more of one event than it may lose.

The limit lies twenty dollars above the worst event there is, and what we buy can lose twenty more
than that. Bought, not bid for: the halt itself would withdraw a bid, and with it the cause.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.counter import OURS, OUTSIDER
from tests.controls.rig import Rig
from tests.controls.standing import standing

_ROOM_E6 = 20_000_000
_PRICE_E4 = 5_000

_market = ""
_limit_e6 = 0
_qty_e2 = 0


async def prepare(rig: Rig) -> None:
    """Let somebody offer enough, in a market and an event of their own."""
    global _market, _limit_e6, _qty_e2  # noqa: PLW0603 - a provocation is a module with one life
    now = await standing(rig)
    _limit_e6 = max(now["event_exposure_e6"].values(), default=0) + _ROOM_E6
    _qty_e2 = (_limit_e6 + _ROOM_E6) // _PRICE_E4 // 100 * 100
    _market = await rig.fresh_market()
    await rig.venue.place(OUTSIDER, _market, Side.ASK, _PRICE_E4, _qty_e2)


async def limits(rig: Rig) -> dict[str, int]:
    """Return a limit that nothing is near to."""
    del rig
    return {"event_exposure_e6": _limit_e6}


async def provoke(rig: Rig) -> float:
    """Buy it."""
    before_s = rig.now_s()
    await rig.venue.place(OURS, _market, Side.BID, _PRICE_E4, _qty_e2, "immediate_or_cancel")
    return before_s


async def relieve(rig: Rig) -> None:
    """Sell it again."""
    await rig.venue.flatten(_market)

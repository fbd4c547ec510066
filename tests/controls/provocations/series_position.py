"""A fill makes the position of a series larger than it may be.

Each market here has a series and an event of its own, so the limit lies above every position that
earlier provocations left.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.rig import Rig
from tests.controls.standing import standing

_ROOM_E2 = 1_000

_market = ""
_limit_e2 = 0


async def prepare(rig: Rig) -> None:
    """List a market."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = await rig.fresh_market()


async def limits(rig: Rig) -> dict[str, int]:
    """Return a limit that nothing is near to."""
    global _limit_e2  # noqa: PLW0603 - see above
    held = (await standing(rig))["positions"].values()
    _limit_e2 = max((abs(qty_e2) for qty_e2 in held), default=0) + _ROOM_E2
    return {"money.series_position_e2": _limit_e2}


async def provoke(rig: Rig) -> float:
    """Buy one contract more than may be held."""
    return await rig.venue.fill(_market, Side.BID, 5_000, _limit_e2 // 100 * 100 + 100)


async def relieve(rig: Rig) -> None:
    """Sell everything again, and let the next one have room once the riskguard saw that it is gone."""
    await rig.venue.flatten(_market)

    async def is_gone() -> bool:
        return not (await rig.status("riskguard")).gauges["red_triggers"]

    await rig.until(is_gone, "nothing red")
    await rig.widen()

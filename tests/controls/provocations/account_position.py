"""A fill makes all positions together one contract larger than they may be.

The limit lies ten contracts above what earlier provocations left.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.rig import Rig
from tests.controls.standing import standing

_ROOM_E2 = 1_000

_market = ""


async def prepare(rig: Rig) -> None:
    """List a market."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = await rig.fresh_market()


async def limits(rig: Rig) -> dict[str, int]:
    """Return a limit ten contracts away."""
    held = (await standing(rig))["positions"].values()
    return {"money.account_position_e2": sum(abs(qty_e2) for qty_e2 in held) + _ROOM_E2}


async def provoke(rig: Rig) -> float:
    """Buy eleven."""
    return await rig.venue.fill(_market, Side.BID, 5_000, _ROOM_E2 + 100)


async def relieve(rig: Rig) -> None:
    """Sell everything again, and let the next one have room once the riskguard saw that it is gone."""
    await rig.venue.flatten(_market)

    async def is_gone() -> bool:
        return not (await rig.status("riskguard")).gauges["red_triggers"]

    await rig.until(is_gone, "nothing red")
    await rig.widen()

"""A fill makes the worst case of a series larger than it may be.

Each market here has a series of its own, so the limit lies twenty dollars above the worst market, and
what is bought can lose twenty more than that.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.rig import Rig
from tests.controls.standing import standing

_ROOM_E6 = 20_000_000
_PRICE_E4 = 5_000

_market = ""
_limit_e6 = 0


async def prepare(rig: Rig) -> None:
    """List a market in a series of its own."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = await rig.fresh_market()


async def limits(rig: Rig) -> dict[str, int]:
    """Return a limit that nothing is near to."""
    global _limit_e6  # noqa: PLW0603 - see above
    worst = (await standing(rig))["market_exposure_e6"].values()
    _limit_e6 = max(worst, default=0) + _ROOM_E6
    return {"money.series_exposure_e6": _limit_e6}


async def provoke(rig: Rig) -> float:
    """Buy for more than may be lost."""
    qty_e2 = (_limit_e6 + _ROOM_E6) // _PRICE_E4 // 100 * 100
    return await rig.venue.fill(_market, Side.BID, _PRICE_E4, qty_e2)


async def relieve(rig: Rig) -> None:
    """Sell everything again, and let the next one have room once the riskguard saw that it is gone."""
    await rig.venue.flatten(_market)

    async def is_gone() -> bool:
        return not (await rig.status("riskguard")).gauges["red_triggers"]

    await rig.until(is_gone, "nothing red")
    await rig.widen()

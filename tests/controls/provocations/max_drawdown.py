"""A position that we hold falls in price until the fall from the day's best result is at its limit.

The fall that there is already, counted from the best result of the day or from zero, lies below the
limit by ten dollars; the hundred contracts held lose forty.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.rig import Rig
from tests.controls.standing import standing, until_held

_QTY_E2 = 10_000
_ROOM_E6 = 10_000_000
_FALLEN_E4 = 500

_market = ""


async def prepare(rig: Rig) -> None:
    """Hold something whose price can fall."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = await rig.fresh_market()
    await rig.venue.fill(_market, Side.BID, 5_000, _QTY_E2)
    await until_held(rig, _market, _QTY_E2)


async def limits(rig: Rig) -> dict[str, int]:
    """Return a limit that the present fall is ten dollars away from."""
    now = await standing(rig)
    return {"drawdown_e6": max(0, now["high_water_e6"]) - now["day_e6"] + _ROOM_E6}


async def provoke(rig: Rig) -> float:
    """Let the bid fall."""
    rig.market(_market).bid_e4 = _FALLEN_E4
    return await rig.played.say_tops()


async def relieve(rig: Rig) -> None:
    """Let it rise again, and sell."""
    rig.played.add(_market, 0)
    await rig.played.say_tops()
    await rig.venue.flatten(_market)

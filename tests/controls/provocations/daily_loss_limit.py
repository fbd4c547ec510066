"""A position that we hold falls in price until the day's loss is at its limit.

The limit lies ten dollars below the day as it stands, whatever earlier provocations left of it; the
hundred contracts held lose forty when their bid falls from 0.45 to 0.05.
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
    """Return a limit that the day is ten dollars away from."""
    return {"daily_loss_e6": max(0, _ROOM_E6 - (await standing(rig))["day_e6"])}


async def provoke(rig: Rig) -> float:
    """Let the bid fall."""
    rig.market(_market).bid_e4 = _FALLEN_E4
    return await rig.played.say_tops()


async def relieve(rig: Rig) -> None:
    """Let it rise again, and sell."""
    rig.played.add(_market, 0)
    await rig.played.say_tops()
    await rig.venue.flatten(_market)

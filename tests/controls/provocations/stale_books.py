"""Marketdata says itself that the book of a market in which we hold something is not current."""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.rig import Rig
from tests.controls.standing import until_held

_QTY_E2 = 100

_market = ""


async def prepare(rig: Rig) -> None:
    """Hold one contract."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = await rig.fresh_market()
    await rig.venue.fill(_market, Side.BID, 5_000, _QTY_E2)
    await until_held(rig, _market, _QTY_E2)


async def provoke(rig: Rig) -> float:
    """Say that the book is stale."""
    rig.market(_market).is_stale = True
    return await rig.played.say_tops()


async def relieve(rig: Rig) -> None:
    """Say that it is current again, and sell."""
    rig.market(_market).is_stale = False
    await rig.played.say_tops()
    await rig.venue.flatten(_market)

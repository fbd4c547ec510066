"""The price grid of a market changes while our quotes rest in it."""

from __future__ import annotations

from libs.common.messages.market import BandV1
from tests.controls.rig import Rig

LIMITS = {"slow.grid_settle_ms": 3_000}
_CENTS, _TENTHS = 100, 10

_market = ""


async def _set(rig: Rig, structure: str, step_e4: int) -> float:
    bands = [[0, 10_000, step_e4]]
    await rig.venue.switch("grid", market=_market, structure=structure, bands=bands)
    grid = (BandV1(start_e4=0, end_e4=10_000, step_e4=step_e4),)
    rig.market(_market).status = {"grid": grid}
    return await rig.played.say_statuses()


async def provoke(rig: Rig) -> float:
    """Make it finer, at the venue and in marketdata's words."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = next(iter(rig.played.quotes))
    return await _set(rig, "deci_cent", _TENTHS)


async def relieve(rig: Rig) -> None:
    """Wait until it opens by itself, and put the old grid back without anybody's minding."""
    await rig.until_running()
    await rig.widen()
    await _set(rig, "linear_cent", _CENTS)

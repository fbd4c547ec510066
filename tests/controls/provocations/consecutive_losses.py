"""Four round trips in a row lose three dollars each: bought at 0.60, sold at 0.30.

Trips of the last minute count, so what earlier provocations lost is forgotten by then; three of the four
are made before the moment is taken, and the fourth loses when its second order is matched.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.rig import Rig

LIMITS = {
    "money.losses_max": 4,
    "money.losses_window": 5,
    "money.losses_min_e6": 2_000_000,
    "money.losses_within_ms": 60_000,
}
_QTY_E2 = 1_000

_market = ""


async def prepare(rig: Rig) -> None:
    """List a market."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = await rig.fresh_market()


async def provoke(rig: Rig) -> float:
    """Lose four times."""
    before_s = rig.now_s()
    for _ in range(4):
        await rig.venue.fill(_market, Side.BID, 6_000, _QTY_E2)
        before_s = await rig.venue.fill(_market, Side.ASK, 3_000, _QTY_E2)
    return before_s


async def relieve(rig: Rig) -> None:
    """Nothing makes them undone but time."""
    await rig.widen()

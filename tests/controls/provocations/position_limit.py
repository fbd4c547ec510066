"""A fill makes a position one contract larger than it may be.

The worked example for the others: a fresh market, so that nothing of earlier provocations is in
the way; the limit above every position that those left; the condition is true at its source when
the outsider's order is matched, and the moment is taken before that order leaves.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.rig import Rig

LIMITS = {"position_e2": 60_000}
_ALLOWED_E2 = 60_000
_ONE_MORE_E2 = 100

_market = ""


async def prepare(rig: Rig) -> None:
    """Hold exactly what is allowed."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = await rig.fresh_market()
    await rig.venue.fill(_market, Side.BID, 5_000, _ALLOWED_E2)


async def provoke(rig: Rig) -> float:
    """Buy one contract more."""
    return await rig.venue.fill(_market, Side.BID, 5_000, _ONE_MORE_E2)


async def relieve(rig: Rig) -> None:
    """Sell everything again: the riskguard itself must see that it is gone."""
    await rig.venue.flatten(_market)

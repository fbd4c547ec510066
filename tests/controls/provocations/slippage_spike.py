"""Our account takes an offer at 0.70 while the middle of the book is 0.50."""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.counter import OURS, OUTSIDER
from tests.controls.rig import Rig

LIMITS = {"money.slippage_e4": 1_000, "money.slippage_fills": 1, "money.slippage_fills_min": 1}
_PRICE_E4 = 7_000
_QTY_E2 = 100

_market = ""


async def prepare(rig: Rig) -> None:
    """Let the outsider offer dear."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = await rig.fresh_market()
    await rig.venue.place(OUTSIDER, _market, Side.ASK, _PRICE_E4, _QTY_E2)


async def provoke(rig: Rig) -> float:
    """Take it."""
    before_s = rig.now_s()
    await rig.venue.place(OURS, _market, Side.BID, _PRICE_E4, _QTY_E2, "immediate_or_cancel")
    return before_s


async def relieve(rig: Rig) -> None:
    """Sell it again; what was paid stays paid until ten minutes have passed."""
    await rig.widen()
    await rig.venue.flatten(_market)

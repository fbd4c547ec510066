"""The book falls by 25 cents right after an order of ours was filled as maker.

The window: the middle is read half a second after the fill, by definition, and books are said twice a
second, so that one that is as young as that comes at most another half later.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.rig import Rig

LIMITS = {
    "money.markout_e4": 1_000,
    "money.markout_after_ms": 500,
    "money.markout_fills": 1,
    "money.markout_fills_min": 1,
}
WINDOW_MS = 1_000

_market = ""


async def prepare(rig: Rig) -> None:
    """List a market."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = await rig.fresh_market()


async def provoke(rig: Rig) -> float:
    """Be filled, and let the book fall."""
    before_s = await rig.venue.fill(_market, Side.BID, 4_500, 100)
    market = rig.market(_market)
    market.bid_e4, market.ask_e4 = 2_000, 3_000
    await rig.played.say_tops()
    return before_s


async def relieve(rig: Rig) -> None:
    """Sell it again; how it went stays known until ten minutes have passed."""
    await rig.widen()
    await rig.venue.flatten(_market)

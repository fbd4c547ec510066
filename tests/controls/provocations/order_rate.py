"""Strategy wants quotes in eight more markets at once, and the executor sends them: sixteen new orders.

The limit leaves room for the six quotes that the executor sends anew when a riskguard has started.
"""

from __future__ import annotations

from tests.controls.played import QUOTES
from tests.controls.rig import SHARDS, Rig

LIMITS = {"orders_per_minute": 15}
_MARKETS = 8

_markets: list[str] = []


async def prepare(rig: Rig) -> None:
    """List the markets."""
    _markets[:] = [await rig.fresh_market(SHARDS[number % len(SHARDS)]) for number in range(_MARKETS)]


async def provoke(rig: Rig) -> float:
    """Want quotes in all of them."""
    for market in _markets:
        rig.played.quotes[market] = QUOTES
    return await rig.played.say_targets()


async def relieve(rig: Rig) -> None:
    """Want none; the minute itself only passes, so the limit is widened."""
    for market in _markets:
        rig.played.quotes.pop(market, None)
    await rig.widen()

"""Orders and more orders, and nothing trades.

Placed as in `message_rate`. How many it takes depends on what the executor's quotes place
meanwhile, so the moment is taken before the burst.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.counter import OURS
from tests.controls.rig import Rig

LIMITS = {"conduct.orders_per_trade": 60, "conduct.orders_per_trade_min": 61}
_ORDERS = 61
_EPOCH = 900_001


async def provoke(rig: Rig) -> float:
    """Place 61 orders far from any taker."""
    market = await rig.fresh_market()
    before_s = rig.now_s()
    for _ in range(_ORDERS):
        name = rig.venue.our_id(_EPOCH)
        await rig.venue.place(OURS, market, Side.BID, 1_000, 100, client_order_id=name)
    return before_s

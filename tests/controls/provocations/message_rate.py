"""A runaway under our name: orders come and go as fast as the venue takes them.

Placed past the executor, under an epoch that it takes for its successor's, so that it neither
adopts nor cancels them. The moment is taken before the burst, because the executor's own quotes
may make one of the messages that are too many.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.counter import OURS
from tests.controls.rig import Rig

LIMITS = {"conduct.messages_per_minute": 60}
_PAIRS = 31
_EPOCH = 900_000


async def provoke(rig: Rig) -> float:
    """Place and cancel, 62 messages."""
    market = await rig.fresh_market()
    before_s = rig.now_s()
    for _ in range(_PAIRS):
        name = rig.venue.our_id(_EPOCH)
        placed = await rig.venue.place(OURS, market, Side.BID, 1_000, 100, client_order_id=name)
        await rig.venue.cancel(OURS, placed["order_id"])
    return before_s

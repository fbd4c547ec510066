"""An order under our name that nobody wrote down rests, and the venue cancels nothing.

Its epoch is one that the executor takes for its successor's, so it neither adopts nor cancels it;
cancels fail, so that the halt's own cancel-all does not end the orphan before a resume was asked
for. Only the riskguard's own listings tell of it. `WINDOW_MS`: the read lag of 0.3 s, up to one
listing until it is first seen, and its age, which listings measure.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.counter import OURS
from tests.controls.rig import Rig

LIMITS = {"conduct.orphan_age_ms": 1_200}
SETTINGS = {"timing.listing_ms": 400}
WINDOW_MS = 300 + 400 + 1_200 + 400
_EPOCH = 900_002
_MANY = 1_000_000


async def provoke(rig: Rig) -> float:
    """Place it."""
    market = await rig.fresh_market()
    await rig.venue.fault("error_before", "DELETE /portfolio/events/orders", _MANY, status=503)
    before_s = rig.now_s()
    name = rig.venue.our_id(_EPOCH)
    await rig.venue.place(OURS, market, Side.BID, 1_000, 100, client_order_id=name)
    return before_s


async def relieve(rig: Rig) -> None:
    """Let cancels pass again: the halt is still being carried out, and takes the orphan with it."""
    await rig.venue.clear_faults()

    async def is_gone() -> bool:
        return not (await rig.status("riskguard")).gauges["oldest_orphan_ms"]

    await rig.until(is_gone, "no orphan")

"""A create is answered with a 503 that proves nothing, and no listing can be read to settle it.

Detection needs the age by definition: `WINDOW_MS` is the limit.
"""

from __future__ import annotations

from tests.controls.played import QUOTES
from tests.controls.rig import Rig

LIMITS = {"conduct.unknown_age_ms": 1_500}
WINDOW_MS = 1_500
_MANY = 1_000_000

_market = ""


async def prepare(rig: Rig) -> None:
    """List a market to quote in."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = await rig.fresh_market()


async def provoke(rig: Rig) -> float:
    """Let strategy want an order while the venue is sick."""
    await rig.venue.fault("error_before", "GET /portfolio/orders", _MANY, status=503)
    await rig.venue.fault("error_before", "POST /portfolio/events/orders", _MANY, status=503)
    before_s = rig.now_s()
    rig.played.quotes[_market] = QUOTES
    await rig.played.say_targets()
    return before_s


async def relieve(rig: Rig) -> None:
    """Heal the venue: its listings show that nothing arrived, and the executor says so."""
    rig.played.quotes.pop(_market)
    await rig.venue.clear_faults()

    async def is_settled() -> bool:
        return not (await rig.status("riskguard")).gauges["oldest_unknown_ms"]

    await rig.until(is_settled, "a doubt that ended")

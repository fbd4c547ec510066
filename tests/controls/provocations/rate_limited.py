"""The venue refuses reads for lack of tokens, whatever we think we have.

`WINDOW_MS`: three readings must be refused, each is tried twice with up to 0.3 s between and after
each refusal the reader waits for its bucket; the executor's are asked for once a second.
"""

from __future__ import annotations

from tests.controls.rig import Rig

LIMITS = {"conduct.rate_limited_per_minute": 2}
SETTINGS = {"timing.listing_ms": 200}
WINDOW_MS = 1_500
_MANY = 1_000_000


async def provoke(rig: Rig) -> float:
    """Refuse every reading of positions."""
    return await rig.venue.fault("rate_limit", "GET /portfolio/positions", _MANY)


async def relieve(rig: Rig) -> None:
    """Grant them again; the minute that counts them is left behind with the process that counted."""
    await rig.venue.clear_faults()
    await rig.widen()

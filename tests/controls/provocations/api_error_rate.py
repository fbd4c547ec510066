"""Every reading of the account is answered with a 503.

The riskguard's own reads find out first: it reads five times a second here. `WINDOW_MS`: three of
them must fail, each is tried twice with up to 0.3 s between, and the executor's are asked for once
a second.
"""

from __future__ import annotations

from tests.controls.rig import Rig

LIMITS = {"conduct.api_errors_per_minute": 2}
SETTINGS = {"timing.listing_ms": 200}
WINDOW_MS = 1_000
_MANY = 1_000_000


async def provoke(rig: Rig) -> float:
    """Make the venue sick."""
    return await rig.venue.fault("error_before", "GET /portfolio/", _MANY, status=503)


async def relieve(rig: Rig) -> None:
    """Heal it; the minute that counts them is left behind with the process that counted."""
    await rig.venue.clear_faults()
    await rig.widen()

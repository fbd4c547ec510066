"""The account's location attestation turns out to lapse within the hour.

Seen with the next reading of the keys, so the window is the time between two.
"""

from __future__ import annotations

from tests.controls.counter import OURS
from tests.controls.rig import Rig

LIMITS = {"slow.attestation_stop_days": 1}
SETTINGS = {"timing.slow_ms": 500}
WINDOW_MS = 500
_HOUR_S, _QUARTER_S = 3_600, 90 * 86_400


async def provoke(rig: Rig) -> float:
    """Let it lapse in an hour."""
    before_s = rig.now_s()
    await rig.venue.ask("attested", {"account": OURS, "seconds": _HOUR_S})
    return before_s


async def relieve(rig: Rig) -> None:
    """Attest anew."""
    await rig.venue.ask("attested", {"account": OURS, "seconds": _QUARTER_S})

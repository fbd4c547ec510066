"""An announced change of fees comes true in a series that we quote, and marketdata has not noticed.

Announced a little ahead, as the venue does, so that the moment is known to both: what is measured
begins with it. It opens when marketdata says the new fee, and only then.
"""

from __future__ import annotations

import asyncio

from libs.common.messages.market import FeeTermsV1
from tests.controls.rig import Rig

SETTINGS = {"timing.slow_ms": 300}
LIMITS = {"slow.fee_settle_ms": 600_000}
_AHEAD_S = 3.0
_FEE = FeeTermsV1(fee_type="quadratic", multiplier_e4=5_000)


def _market(rig: Rig) -> str:
    return next(iter(rig.played.quotes))


async def provoke(rig: Rig) -> float:
    """Announce it, and wait for its moment."""
    before_s = rig.now_s()
    terms = {"fee_type": _FEE.fee_type, "multiplier_e4": _FEE.multiplier_e4}
    series = rig.market(_market(rig)).series
    await rig.venue.ask("fee_changes", {"series": series, "seconds": _AHEAD_S, **terms})
    await asyncio.sleep(before_s + _AHEAD_S - rig.now_s())
    return before_s + _AHEAD_S


async def exhaust(rig: Rig) -> None:
    """Stay closed while marketdata says the old fee, although the venue was asked meanwhile."""
    await asyncio.sleep(3)
    assert rig.watch.newest_permit is not None
    assert not rig.watch.newest_permit.is_open


async def relieve(rig: Rig) -> None:
    """Let marketdata say the new fee."""
    rig.market(_market(rig)).status = {"fee": _FEE}
    await rig.played.say_statuses()

"""The riskguard's own key gets a scope with which funds can leave.

Seen with the next reading of the keys, so the window is the time between two.
"""

from __future__ import annotations

from tests.controls.rig import Rig

LIMITS = {"slow.forbid_transfers": True}
SETTINGS = {"timing.slow_ms": 500}
WINDOW_MS = 500
_TRADE = ["read", "write::trade"]


def _key_id(rig: Rig) -> str:
    return next(account.key_id for account in rig.venue.at.accounts if account.name == "riskguard")


async def provoke(rig: Rig) -> float:
    """Allow it transfers."""
    before_s = rig.now_s()
    await rig.venue.ask("scopes", {"key_id": _key_id(rig), "scopes": [*_TRADE, "write::transfer"]})
    return before_s


async def relieve(rig: Rig) -> None:
    """Take them away again."""
    await rig.venue.ask("scopes", {"key_id": _key_id(rig), "scopes": _TRADE})

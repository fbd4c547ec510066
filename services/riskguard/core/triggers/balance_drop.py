"""What the venue holds for us, with what we hold, fell too far (D-066, D-177)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View, worst_of


@dataclass(frozen=True, slots=True)
class BalanceDrop:
    """Equity of one shard, or of all together, fell too far below the day's opening or peak."""

    name: str = "balance_drop"
    text: str = "the balance fell too far from its baseline"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        shard, shard_e6 = worst_of(view.money.shard_drops_e6)
        scopes = (
            ("all shards", view.money.balance_drop_e6, limits.money.balance_drop_e6),
            (f"shard {shard}", shard_e6, limits.money.shard_drop_e6),
        )
        for scope, drop_e6, limit_e6 in scopes:
            if drop_e6 > 0 and drop_e6 >= limit_e6:
                text = f"{self.text}: {scope} fell {drop_e6}, limit {limit_e6}"
                return Fired(self.name, text, limit_e6, drop_e6, self.is_latching)
        return None

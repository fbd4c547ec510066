"""Both sides of a trade are ours: the venue's prevention failed, and it looks like a wash."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class SelfTrade:
    """Both sides of a trade are ours: the venue's prevention failed, and it looks like a wash."""

    name: str = "self_trade"
    text: str = "we traded with ourselves"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        was, limit = view.conduct.self_trades, limits.conduct.self_trades
        if was <= limit:
            return None
        return Fired(
            self.name, f"{self.text}: {was} times today, limit {limit}", limit, was, self.is_latching
        )

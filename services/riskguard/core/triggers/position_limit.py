"""A market's position is larger than it may be (A-030)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View, worst_of


@dataclass(frozen=True, slots=True)
class PositionLimit:
    """A market's position is larger than it may be (A-030)."""

    name: str = "position_limit"
    text: str = "a position passed its limit"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        market, size_e2 = worst_of(view.positions)
        if size_e2 <= limits.position_e2:
            return None
        text = f"{self.text}: {market} holds {view.positions[market]}, limit {limits.position_e2}"
        return Fired(self.name, text, limits.position_e2, size_e2, self.is_latching)

"""The market moves against us after makers' fills (D-065)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class AdverseMarkout:
    """The market moves against us after makers' fills (D-065)."""

    name: str = "adverse_markout"
    text: str = "the market moved too far against us after fills that made"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        mean_e4, limit_e4 = view.money.markout_e4, limits.money.markout_e4
        if mean_e4 is None or mean_e4 <= limit_e4:
            return None
        text = f"{self.text}: {mean_e4} ten-thousandths on average, limit {limit_e4}"
        return Fired(self.name, text, limit_e4, mean_e4, self.is_latching)

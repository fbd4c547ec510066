"""The day lost as much as it may (A-029, D-060)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class DailyLoss:
    """The day lost as much as it may (A-029, D-060)."""

    name: str = "daily_loss_limit"
    text: str = "the day's loss reached its limit"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        if view.day_e6 > -limits.daily_loss_e6:
            return None
        text = f"{self.text}: result {view.day_e6}, limit -{limits.daily_loss_e6}"
        return Fired(self.name, text, limits.daily_loss_e6, -view.day_e6, self.is_latching)

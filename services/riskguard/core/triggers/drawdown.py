"""The day gave back too much of what it had won (D-062)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The day gave back too much of what it had won (D-062)."""

    name: str = "max_drawdown"
    text: str = "the fall from the day's best result reached its limit"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        fall_e6 = view.high_water_e6 - view.day_e6
        if fall_e6 <= 0 or fall_e6 < limits.drawdown_e6:
            return None
        text = f"{self.text}: fell {fall_e6} from {view.high_water_e6}, limit {limits.drawdown_e6}"
        return Fired(self.name, text, limits.drawdown_e6, fall_e6, self.is_latching)

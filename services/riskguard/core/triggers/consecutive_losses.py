"""Too many of the newest round trips lost (D-061)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class ConsecutiveLosses:
    """Too many of the newest round trips lost (D-061)."""

    name: str = "consecutive_losses"
    text: str = "too many of the newest round trips lost"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        lost = view.money.losing_trips(limits.money.losses_min_e6)
        if lost < limits.money.losses_max:
            return None
        text = f"{self.text}: {lost} of the last {len(view.money.trips)}, limit {limits.money.losses_max}"
        return Fired(self.name, text, limits.money.losses_max, lost, self.is_latching)

"""New orders come faster than any quoting needs: a runaway."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class OrderRate:
    """New orders come faster than any quoting needs: a runaway."""

    name: str = "order_rate"
    text: str = "too many new orders within a minute"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        if view.orders_last_minute <= limits.orders_per_minute:
            return None
        text = f"{self.text}: {view.orders_last_minute}, limit {limits.orders_per_minute}"
        return Fired(self.name, text, limits.orders_per_minute, view.orders_last_minute, self.is_latching)

"""The price grid of a market changed while our orders rested in it."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class GridChange:
    """The price grid of a market changed while our orders rested in it: a pause until all are priced anew."""

    name: str = "grid_change"
    text: str = "a price grid changed under our orders"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        since_ms, settle_ms = view.slow.grid_settling_ms, limits.slow.grid_settle_ms
        if since_ms is None or since_ms >= settle_ms:
            return None
        text = f"{self.text}: in {view.slow.grid_market} {since_ms} ms ago, settles for {settle_ms}"
        return Fired(self.name, text, settle_ms, since_ms, self.is_latching)

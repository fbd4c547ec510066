"""A service decides on old news because its event loop is late: a pause until it keeps up."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View, worst_of


@dataclass(frozen=True, slots=True)
class LoopLag:
    """A service decides on old news because its event loop is late: a pause until it keeps up."""

    name: str = "loop_lag"
    text: str = "an event loop was late"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        instance, lag_ms = worst_of(view.health.loop_lags_ms)
        limit_ms = limits.health.loop_lag_ms
        if lag_ms <= limit_ms:
            return None
        text = f"{self.text}: {instance} by {lag_ms} ms, limit {limit_ms}"
        return Fired(self.name, text, limit_ms, lag_ms, self.is_latching)

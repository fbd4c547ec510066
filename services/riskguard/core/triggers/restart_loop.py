"""A service starts again and again: what it does in between cannot be trusted (F14)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View, worst_of


@dataclass(frozen=True, slots=True)
class RestartLoop:
    """A service starts again and again: what it does in between cannot be trusted."""

    name: str = "restart_loop"
    text: str = "a service started too often"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        service, boots = worst_of(view.health.boots)
        limit, window_ms = limits.health.boots_max, limits.health.boots_window_ms
        if boots <= limit:
            return None
        text = f"{self.text}: {service} {boots} times within {window_ms} ms, limit {limit}"
        return Fired(self.name, text, limit, boots, self.is_latching)

"""Another clock is not ours: the exchange's, by which orders expire, or that of a service (F7)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View, worst_of


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """Another clock is not ours: the exchange's, by which orders expire, or that of a service."""

    name: str = "clock_skew"
    text: str = "clocks differ"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        skews_ms, limit_ms = view.health.clock_skews_ms, limits.health.clock_skew_ms
        whose, worst_ms = worst_of(skews_ms)
        if worst_ms <= limit_ms:
            return None
        text = f"{self.text}: that of {whose} minus ours is at least {skews_ms[whose]} ms, limit {limit_ms}"
        return Fired(self.name, text, limit_ms, worst_ms, self.is_latching)

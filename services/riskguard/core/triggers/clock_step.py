"""Our wall clock was set while we ran: every stamp from before and after it tells another time (4.23)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class ClockStep:
    """Our wall clock was set while we ran: every stamp from before and after it tells another time."""

    name: str = "clock_step"
    text: str = "the wall clock stepped"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        step_ms, limit_ms = view.health.clock_step_ms, limits.health.clock_step_ms
        if abs(step_ms) <= limit_ms:
            return None
        text = f"{self.text} by {step_ms} ms, limit {limit_ms}"
        return Fired(self.name, text, limit_ms, abs(step_ms), self.is_latching)

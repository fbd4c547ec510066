"""The exchange closes by its own schedule soon, or is closed by it (F10)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class ScheduledPause:
    """The exchange closes by its own schedule soon: quotes go before it, while cancels still work."""

    name: str = "scheduled_pause"
    text: str = "the exchange closes by its schedule"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        left_ms, lead_ms = view.slow.pause_left_ms, limits.slow.schedule_lead_ms
        if left_ms is None or left_ms > lead_ms:
            return None
        text = f"{self.text} in {left_ms} ms, stops {lead_ms} before"
        return Fired(self.name, text, lead_ms, left_ms, self.is_latching)

"""We are filled faster than any quoting should be: a fill storm (F23)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class FillRate:
    """We are filled faster than any quoting should be: a fill storm (F23)."""

    name: str = "fill_rate"
    text: str = "too many fills within a minute"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        was, limit = view.conduct.fills_last_minute, limits.conduct.fills_per_minute
        if was <= limit:
            return None
        return Fired(self.name, f"{self.text}: {was}, limit {limit}", limit, was, self.is_latching)

"""The executor has not known an order's fate for too long (I11)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class UnknownAge:
    """The executor has not known an order's fate for too long (I11)."""

    name: str = "unknown_age"
    text: str = "an order's fate is unknown for too long"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        was, limit = view.conduct.oldest_unknown_ms, limits.conduct.unknown_age_ms
        if was <= limit:
            return None
        return Fired(
            self.name,
            f"{self.text}: {view.conduct.oldest_unknown} for {was} ms, limit {limit}",
            limit,
            was,
            self.is_latching,
        )

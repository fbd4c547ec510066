"""An order of ours rests that nobody answers for (D-067, I5)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class OrphanAge:
    """An order of ours rests that nobody answers for (D-067, I5)."""

    name: str = "orphan_age"
    text: str = "an orphan rests for too long"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        was, limit = view.conduct.oldest_orphan_ms, limits.conduct.orphan_age_ms
        if was <= limit:
            return None
        return Fired(
            self.name,
            f"{self.text}: {view.conduct.oldest_orphan} for {was} ms, limit {limit}",
            limit,
            was,
            self.is_latching,
        )

"""We are in a market whose book cannot be believed: a pause until it can."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class StaleBooks:
    """We are in a market whose book cannot be believed: a pause until it can."""

    name: str = "stale_books"
    text: str = "a book that we need cannot be believed"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        del limits
        if not view.stale_books:
            return None
        text = f"{self.text}: {'; '.join(view.stale_books[:5])}"
        return Fired(self.name, text, 0, len(view.stale_books), self.is_latching)

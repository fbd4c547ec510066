"""The exchange does not trade where we are in it, or does not tell: a pause until it does."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class ExchangePause:
    """The exchange does not trade where we are in it, or does not tell: a pause until it does.

    When it trades again the books are old, so `stale_books` holds the permit until they are not.
    """

    name: str = "exchange_pause"
    text: str = "the exchange does not trade"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        del limits
        problems = view.health.exchange_problems
        if not problems:
            return None
        text = f"{self.text}: {'; '.join(problems[:5])}"
        return Fired(self.name, text, 0, len(problems), self.is_latching)

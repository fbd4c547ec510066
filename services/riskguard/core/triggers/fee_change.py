"""An announced change of fees is due where we hold or quote (kalshi-api 9.1 and 9.2)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class FeeChangeDue:
    """An announced change of fees is due: a pause until marketdata says the same fee as the venue."""

    name: str = "fee_change"
    text: str = "fees change where we are"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        del limits
        problems = view.slow.fee_problems
        if not problems:
            return None
        text = f"{self.text}: {'; '.join(problems[:5])}"
        return Fired(self.name, text, 0, len(problems), self.is_latching)

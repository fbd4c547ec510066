"""One decision is executed again and again; a person starts it again (RTS 6, article 15)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class RepeatedExecution:
    """One decision is executed again and again; a person starts it again (RTS 6, article 15)."""

    name: str = "repeated_execution"
    text: str = "the same order was executed too often"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        was, limit = view.conduct.repeated_executions, limits.conduct.repeated_executions
        if was <= limit:
            return None
        return Fired(
            self.name,
            f"{self.text}: {view.conduct.repeated} {was} times, limit {limit}",
            limit,
            was,
            self.is_latching,
        )

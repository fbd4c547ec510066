"""Positions of one scope together are larger than they may be (A-030, A-031)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View, worst_of


@dataclass(frozen=True, slots=True)
class PositionSum:
    """Gross contracts of one scope: long and short add up; each scope has its own file."""

    name: str
    text: str
    amounts: Callable[[View], Mapping[str, int]]
    limit: Callable[[Limits], int]
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        scope, gross_e2 = worst_of(self.amounts(view))
        limit_e2 = self.limit(limits)
        if gross_e2 <= limit_e2:
            return None
        text = f"{self.text}: {scope} holds {gross_e2}, limit {limit_e2}"
        return Fired(self.name, text, limit_e2, gross_e2, self.is_latching)

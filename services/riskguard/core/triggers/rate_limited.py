"""The venue refuses too much for lack of tokens: our idea of its budget is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class RateLimited:
    """The venue refuses too much for lack of tokens: our idea of its budget is wrong."""

    name: str = "rate_limited"
    text: str = "too many refusals for lack of tokens within a minute"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        was, limit = view.conduct.rate_limited_last_minute, limits.conduct.rate_limited_per_minute
        if was <= limit:
            return None
        return Fired(self.name, f"{self.text}: {was}, limit {limit}", limit, was, self.is_latching)

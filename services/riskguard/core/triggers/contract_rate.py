"""More contracts are filled than any quoting should fill: a fill storm of large ones (F23)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class ContractRate:
    """More contracts are filled than any quoting should fill: a fill storm of large ones (F23)."""

    name: str = "contract_rate"
    text: str = "too many contracts filled within a minute"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        was, limit = view.conduct.contracts_last_minute_e2, limits.conduct.contracts_per_minute_e2
        if was <= limit:
            return None
        return Fired(self.name, f"{self.text}: {was}, limit {limit}", limit, was, self.is_latching)

"""No price is judged by an old reference."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class FreshReference:
    """Refuse every order whose reference price is missing, older than the limit, or as far in the future."""

    limit_ms: int
    name: str = "fresh_reference"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal; ``was`` is -1 where there is no reference."""
        del order
        age_ms = view.reference_age_ms
        if age_ms is not None and age_ms <= self.limit_ms and self.limit_ms > 0:
            return None
        return Refusal(self.name, limit=self.limit_ms, was=-1 if age_ms is None else age_ms, unit="ms")

"""No second order at a price where one of ours may already be."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Refuse an order whose market, side and price already carry as many open orders as allowed."""

    limit: int
    name: str = "duplicate"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where this order would be one too many at its price."""
        del order
        if view.same_price_open < self.limit:
            return None
        return Refusal(self.name, limit=self.limit, was=view.same_price_open + 1, unit="orders")

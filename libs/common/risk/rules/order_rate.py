"""No more than so many orders a second."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class OrderRate:
    """Refuse an order once the last second has seen as many as the limit."""

    limit: int
    name: str = "order_rate"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where this order would be one too many."""
        del order
        if view.orders_last_s < self.limit:
            return None
        return Refusal(self.name, limit=self.limit, was=view.orders_last_s + 1, unit="orders_per_s")

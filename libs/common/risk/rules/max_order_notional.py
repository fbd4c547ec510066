"""No single order that can lose more than so much."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class MaxOrderNotional:
    """Refuse an order whose bought leg costs more than the limit."""

    limit_e6: int
    name: str = "max_order_notional"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal for a dearer order."""
        del view
        if order.cost_e6 <= self.limit_e6:
            return None
        return Refusal(self.name, limit=self.limit_e6, was=order.cost_e6, unit="dollars_e6")

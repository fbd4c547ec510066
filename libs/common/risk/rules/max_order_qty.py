"""No single order larger than so many contracts."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class MaxOrderQty:
    """Refuse a quantity above the limit, and one that is not positive."""

    limit_e2: int
    name: str = "max_order_qty"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal for a quantity outside 1 to the limit."""
        del view
        if 0 < order.qty_e2 <= self.limit_e2:
            return None
        return Refusal(self.name, limit=self.limit_e2, was=order.qty_e2, unit="contracts_e2")

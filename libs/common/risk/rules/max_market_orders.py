"""No more open orders in one market than the limit."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class MaxMarketOrders:
    """Refuse a new order in a market that has as many as the limit, of whatever strategy or purpose."""

    limit: int
    name: str = "max_market_orders"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where this order would be one too many; an amend makes none more."""
        after = view.market_orders + 1
        if self.limit > 0 and (order.is_change or after <= self.limit):
            return None
        return Refusal(self.name, limit=self.limit, was=after, unit="orders")

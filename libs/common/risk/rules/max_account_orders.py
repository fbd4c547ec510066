"""No more open orders in the account than the limit."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class MaxAccountOrders:
    """Refuse a new order while the account has as many open as the limit."""

    limit: int
    name: str = "max_account_orders"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where this order would be one too many; an amend makes none more."""
        after = view.account_orders + 1
        if self.limit > 0 and (order.is_change or after <= self.limit):
            return None
        return Refusal(self.name, limit=self.limit, was=after, unit="orders")

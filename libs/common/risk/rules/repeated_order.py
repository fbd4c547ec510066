"""No order over and over: a loop that sends the same again is stopped by its sameness."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class RepeatedOrder:
    """Refuse an order whose market, side, price and size the last second has seen as often as the limit."""

    limit: int
    name: str = "repeated_order"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where this order would be one too many of its kind."""
        del order
        if view.repeated_last_s < self.limit:
            return None
        return Refusal(self.name, limit=self.limit, was=view.repeated_last_s + 1, unit="orders_per_s")

"""No price that the market does not have."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class OnGrid:
    """Refuse a price off the market's grid, and every price while the grid is unknown."""

    name: str = "on_grid"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal; ``limit`` is the step at the price, 0 where the grid is unknown."""
        if view.grid is None:
            return Refusal(self.name, limit=0, was=order.price_e4, unit="price_e4")
        if view.grid.is_on_grid(order.price_e4):
            return None
        return Refusal(
            self.name, limit=view.grid.tick_at(order.price_e4), was=order.price_e4, unit="price_e4"
        )

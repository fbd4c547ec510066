"""No position beyond the limit even if everything open on the order's side fills."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.domain.side import Side
from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class MaxMarketPosition:
    """Refuse an order that could carry the position past the limit on its own side."""

    limit_e2: int
    name: str = "max_market_position"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where position, open quantity and this order exceed the limit together."""
        if order.side is Side.BID:
            after_e2 = view.position_e2 + view.bid_open_e2 + order.qty_e2
        else:
            after_e2 = -view.position_e2 + view.ask_open_e2 + order.qty_e2
        # Zero means zero: at a limit of 0 even an order that would only close a position is refused.
        if after_e2 <= self.limit_e2 and self.limit_e2 > 0:
            return None
        return Refusal(self.name, limit=self.limit_e2, was=after_e2, unit="contracts_e2")

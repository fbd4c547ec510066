"""No bid far above and no ask far below a fresh reference price."""

from __future__ import annotations

import math
from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class PriceCollar:
    """Refuse a price that gives away more than the limit; without a reference refuse every price."""

    limit_e4: int
    name: str = "price_collar"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal for a price beyond the collar; ``was`` is -1 where there is no reference."""
        if view.reference_e4 is None or not math.isfinite(view.reference_e4):
            return Refusal(self.name, limit=self.limit_e4, was=-1, unit="price_e4")
        away_e4 = math.ceil((order.price_e4 - view.reference_e4) * order.side.sign)
        if away_e4 <= self.limit_e4 and self.limit_e4 > 0:
            return None
        return Refusal(self.name, limit=self.limit_e4, was=max(away_e4, 0), unit="price_e4")


def reference_e4(bid_e4: int | None, ask_e4: int | None) -> float | None:
    """Return the middle of the touch, the one side that is there, or None for an empty book."""
    prices = [price for price in (bid_e4, ask_e4) if price is not None]
    return sum(prices) / len(prices) if prices else None

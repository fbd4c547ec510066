"""No order that could trade with another order of ours."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.domain.side import Side
from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class SelfCross:
    """Refuse a bid at or above our lowest ask, and an ask at or below our highest bid."""

    name: str = "self_cross"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal; ``limit`` is the price of ours that it would meet."""
        other = view.own_ask_min_e4 if order.side is Side.BID else view.own_bid_max_e4
        if other is None or (order.price_e4 - other) * order.side.sign < 0:
            return None
        return Refusal(self.name, limit=other, was=order.price_e4, unit="price_e4")

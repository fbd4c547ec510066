"""We place far more than trades: what a surveillance desk would ask about (RTS 6, article 13)."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.messages.control import GateState
from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class OrderToTrade:
    """We place far more than trades: what a surveillance desk would ask about (RTS 6, article 13)."""

    name: str = "order_to_trade"
    text: str = "too many orders for each fill"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        seen, most = view.conduct, limits.conduct
        orders, trades = seen.orders_last_ten_minutes, max(1, seen.trades_last_ten_minutes)
        if orders < most.orders_per_trade_min or orders <= most.orders_per_trade * trades:
            return None
        text = f"{self.text}: {orders} for {seen.trades_last_ten_minutes} within ten minutes"
        text += f", limit {most.orders_per_trade} each"
        was = orders // trades
        return Fired(
            self.name, text, most.orders_per_trade, was, self.is_latching, level=GateState.REDUCE_ONLY
        )

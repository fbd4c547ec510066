"""No more dollars a minute than the limit, however small each order is."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class NotionalRate:
    """Refuse an order whose cost would lift that of the last 60 s above the limit."""

    limit_e6: int
    name: str = "notional_rate"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where creates and amends would cost more than the limit within a minute."""
        after_e6 = view.notional_last_minute_e6 + order.cost_e6
        if after_e6 <= self.limit_e6 and self.limit_e6 > 0:
            return None
        return Refusal(self.name, limit=self.limit_e6, was=after_e6, unit="dollars_e6_per_minute")

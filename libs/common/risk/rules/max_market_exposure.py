"""No worst-case loss of one market beyond the limit."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class MaxMarketExposure:
    """Refuse an order that lifts the market's worst-case loss above the limit."""

    limit_e6: int
    name: str = "max_market_exposure"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where the market could lose more than the limit."""
        before_e6 = max(0, view.loss_if_yes_e6, view.loss_if_no_e6)
        after_e6 = max(0, *view.losses_after_e6(order))
        # Above the limit (a lowered one, say) an order that adds no risk still passes: it is the way out.
        if after_e6 <= max(self.limit_e6, before_e6) and self.limit_e6 > 0:
            return None
        return Refusal(self.name, limit=self.limit_e6, was=after_e6, unit="dollars_e6")

"""No worst-case loss of one event beyond the limit."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.domain.side import Side
from libs.common.risk.model import Order, Refusal, RiskView


def market_loss_before_e6(view: RiskView) -> int:
    """Return the worst loss of the order's market without the order, at least 0."""
    return max(0, view.loss_if_yes_e6, view.loss_if_no_e6)


def market_loss_after_e6(order: Order, view: RiskView) -> int:
    """Return the worst loss of the order's market with the order open as well, at least 0."""
    if_yes, if_no = view.loss_if_yes_e6, view.loss_if_no_e6
    if order.side is Side.ASK:
        if_yes += order.cost_e6
    else:
        if_no += order.cost_e6
    return max(0, if_yes, if_no)


@dataclass(frozen=True, slots=True)
class MaxEventExposure:
    """Refuse an order that lifts the event's worst-case loss above the limit."""

    limit_e6: int
    name: str = "max_event_exposure"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where the event could lose more than the limit."""
        before_e6 = view.event_others_e6 + market_loss_before_e6(view)
        after_e6 = view.event_others_e6 + market_loss_after_e6(order, view)
        # Above the limit (a lowered one, say) an order that adds no risk still passes: it is the way out.
        if after_e6 <= max(self.limit_e6, before_e6) and self.limit_e6 > 0:
            return None
        return Refusal(self.name, limit=self.limit_e6, was=after_e6)

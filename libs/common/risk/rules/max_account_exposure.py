"""No worst-case loss of the account beyond the limit."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView
from libs.common.risk.rules.max_event_exposure import market_loss_after_e6, market_loss_before_e6


@dataclass(frozen=True, slots=True)
class MaxAccountExposure:
    """Refuse an order that lifts the account's worst-case loss above the limit."""

    limit_e6: int
    name: str = "max_account_exposure"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where the account could lose more than the limit."""
        before_e6 = view.account_others_e6 + market_loss_before_e6(view)
        after_e6 = view.account_others_e6 + market_loss_after_e6(order, view)
        # Above the limit (a lowered one, say) an order that adds no risk still passes: it is the way out.
        if after_e6 <= max(self.limit_e6, before_e6) and self.limit_e6 > 0:
            return None
        return Refusal(self.name, limit=self.limit_e6, was=after_e6)

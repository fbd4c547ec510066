"""No worst-case loss of the account beyond the limit: the sum over its events."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class MaxAccountExposure:
    """Refuse an order that lifts the account's worst-case loss above the limit."""

    limit_e6: int
    name: str = "max_account_exposure"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where the account could lose more than the limit."""
        others_e6 = view.account_others_e6
        before_e6 = others_e6 + view.event.with_market_e6(view.loss_if_yes_e6, view.loss_if_no_e6)
        after_e6 = others_e6 + view.event.with_market_e6(*view.losses_after_e6(order))
        # Above the limit (a lowered one, say) an order that adds no risk still passes: it is the way out.
        if after_e6 <= max(self.limit_e6, before_e6) and self.limit_e6 > 0:
            return None
        return Refusal(self.name, limit=self.limit_e6, was=after_e6, unit="dollars_e6")

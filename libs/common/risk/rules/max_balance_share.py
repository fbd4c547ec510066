"""No market may put more than a share of the account's cash at risk (requirement D-081)."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class MaxBalanceShare:
    """Refuse an order that lifts its market's worst-case loss above a share of the account's cash."""

    limit_e4: int
    name: str = "max_balance_share"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal with the share in dollars as its limit, or -1 where the cash is unknown."""
        before_e6 = max(0, view.loss_if_yes_e6, view.loss_if_no_e6)
        after_e6 = max(0, *view.losses_after_e6(order))
        is_known = view.cash_e6 is not None
        share_e6 = max(0, view.cash_e6 or 0) * self.limit_e4 // 10_000
        if self.limit_e4 > 0 and (after_e6 <= before_e6 or (is_known and after_e6 <= share_e6)):
            return None
        return Refusal(self.name, limit=share_e6 if is_known else -1, was=after_e6, unit="dollars_e6")

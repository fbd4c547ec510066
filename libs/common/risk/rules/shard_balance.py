"""No order that the cash of its shard can not pay: collateral is per shard (kalshi-api 6)."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class ShardBalance:
    """Refuse what opens risk beyond the shard's free cash, and while that is unknown or too old."""

    age_ms_max: int
    name: str = "shard_balance"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal in ms where the balance is missing (-1) or old, else in dollars.

        What closes a position needs no cash, and an exit is never held back for want of it.
        """
        if self.age_ms_max <= 0:
            return Refusal(self.name, limit=self.age_ms_max, was=0, unit="ms")
        need_e6 = 0 if order.is_exit else order.leg_e4 * view.opening_e2(order)
        if need_e6 <= 0:
            return None
        if view.free_e6 is None or view.balance_age_ms is None:
            return Refusal(self.name, limit=self.age_ms_max, was=-1, unit="ms")
        if view.balance_age_ms > self.age_ms_max:
            return Refusal(self.name, limit=self.age_ms_max, was=view.balance_age_ms, unit="ms")
        if need_e6 <= view.free_e6:
            return None
        return Refusal(self.name, limit=view.free_e6, was=need_e6, unit="dollars_e6")

"""No more contracts in one event than the limit, each market at its largest possible position."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class MaxEventContracts:
    """Refuse an order that lifts the event's possible contracts above the limit."""

    limit_e2: int
    name: str = "max_event_contracts"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal where the event could come to hold more than the limit."""
        before_e2 = view.event_contracts_others_e2 + view.contracts_before_e2
        after_e2 = view.event_contracts_others_e2 + view.contracts_after_e2(order)
        # Above the limit (a lowered one, say) an order that adds no risk still passes: it is the way out.
        if after_e2 <= max(self.limit_e2, before_e2) and self.limit_e2 > 0:
            return None
        return Refusal(self.name, limit=self.limit_e2, was=after_e2, unit="contracts_e2")

"""No exit that is none: what calls itself an exit meets fewer rules, so it must be within the position."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.domain.side import Side
from libs.common.risk.model import Order, Refusal, RiskView


@dataclass(frozen=True, slots=True)
class ExitReduces:
    """Refuse an exit that is on the side of the position or larger than it."""

    name: str = "exit_reduces"

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal; ``limit`` is the quantity that can be closed on the order's side."""
        closable_e2 = max(0, view.position_e2 if order.side is Side.ASK else -view.position_e2)
        if not order.is_exit or order.qty_e2 <= closable_e2:
            return None
        return Refusal(self.name, limit=closable_e2, was=order.qty_e2, unit="contracts_e2")

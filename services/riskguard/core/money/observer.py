"""Gathers what the triggers of this area look at."""

from __future__ import annotations

from services.riskguard.core.area import Area
from services.riskguard.core.money.limits import MoneyLimits
from services.riskguard.core.money.view import MoneyView


class Money(Area):
    """See the package."""

    def __init__(self, limits: MoneyLimits) -> None:
        self.limits = limits

    def view(self, now_ns: int, now_ms: int) -> MoneyView:
        """Return what there is to see now."""
        del now_ns, now_ms
        return MoneyView()

"""Gathers what the triggers of this area look at."""

from __future__ import annotations

from services.riskguard.core.area import Area
from services.riskguard.core.conduct.limits import ConductLimits
from services.riskguard.core.conduct.view import ConductView


class Conduct(Area):
    """See the package."""

    def __init__(self, limits: ConductLimits) -> None:
        self.limits = limits

    def view(self, now_ns: int, now_ms: int) -> ConductView:
        """Return what there is to see now."""
        del now_ns, now_ms
        return ConductView()

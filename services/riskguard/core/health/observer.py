"""Gathers what the triggers of this area look at."""

from __future__ import annotations

from services.riskguard.core.area import Area
from services.riskguard.core.health.limits import HealthLimits
from services.riskguard.core.health.view import HealthView


class Health(Area):
    """See the package."""

    def __init__(self, limits: HealthLimits) -> None:
        self.limits = limits

    def view(self, now_ns: int, now_ms: int) -> HealthView:
        """Return what there is to see now."""
        del now_ns, now_ms
        return HealthView()

"""Gathers what the triggers of this area look at."""

from __future__ import annotations

from services.riskguard.core.area import Area
from services.riskguard.core.slow.limits import SlowLimits
from services.riskguard.core.slow.view import SlowView


class Slow(Area):
    """See the package."""

    def __init__(self, limits: SlowLimits) -> None:
        self.limits = limits

    def view(self, now_ns: int, now_ms: int) -> SlowView:
        """Return what there is to see now."""
        del now_ns, now_ms
        return SlowView()

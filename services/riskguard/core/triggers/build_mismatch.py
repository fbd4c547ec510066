"""Services of different builds or configurations work together: a pause until they are one (F20, 4.29)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class BuildMismatch:
    """Services of different builds or configurations work together: a pause until they are one."""

    name: str = "build_mismatch"
    text: str = "services do not belong together"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        del limits
        problems = view.health.build_problems
        if not problems:
            return None
        text = f"{self.text}: {'; '.join(problems[:5])}"
        return Fired(self.name, text, 0, len(problems), self.is_latching)

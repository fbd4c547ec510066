"""The reconciler does not vouch for the books: a pause until it does."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class ReconPermit:
    """The reconciler does not vouch for the books: a pause until it does."""

    name: str = "recon_permit"
    text: str = "the reconciler's permit does not hold"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        del limits
        if not view.recon_problem:
            return None
        return Fired(self.name, f"{self.text}: {view.recon_problem}", 0, 1, self.is_latching)

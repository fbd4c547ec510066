"""A credential is older than it may become: our venue key, or our name at the bus."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.slow.view import DAY_MS
from services.riskguard.core.triggers.base import Fired, View, worst_of


@dataclass(frozen=True, slots=True)
class CredentialAge:
    """A credential is older than it may become: a pause until its file is a new one."""

    name: str = "credential_age"
    text: str = "a credential is too old"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        ages_ms, max_days = view.slow.credential_ages_ms, limits.slow.credential_days_max
        whose, oldest_ms = worst_of(ages_ms)
        if oldest_ms <= max_days * DAY_MS:
            return None
        text = f"{self.text}: the {whose} is {oldest_ms / DAY_MS:.2f} days old, limit {max_days}"
        return Fired(self.name, text, max_days, oldest_ms // DAY_MS, self.is_latching)

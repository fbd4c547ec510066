"""The location attestation lapses: whole categories refuse the key from then on (kalshi-api 2.6)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.slow.view import DAY_MS
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class RegionAttestation:
    """The location attestation lapses soon: a pause until it is renewed.

    The venue then refuses sports, elections and entertainment. Which of our markets belong to
    those marketdata does not say, so all quotes go, a while before the venue refuses some of them.
    Who quotes none of the three says so in the configuration.
    """

    name: str = "region_attestation"
    text: str = "the location attestation lapses"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        left_ms, stop_days = view.slow.region_left_ms, limits.slow.attestation_stop_days
        if not limits.slow.attestation_required or left_ms is None or left_ms > stop_days * DAY_MS:
            return None
        text = f"{self.text} in {left_ms / DAY_MS:.2f} days, stops at {stop_days}"
        return Fired(self.name, text, stop_days, left_ms // DAY_MS, self.is_latching)

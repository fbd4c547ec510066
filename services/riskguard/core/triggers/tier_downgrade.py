"""The venue gives the account less than it gave a moment ago."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class TierDowngrade:
    """The venue gives the account less than it gave a moment ago: a pause until senders have read it too.

    The executor reads its limits again by itself, each minute and after a refusal; until then it
    paces by buckets that are no more, and a flood of refusals looks like something worse.
    """

    name: str = "tier_downgrade"
    text: str = "the venue lowered our tier"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        since_ms, settle_ms = view.slow.tier_settling_ms, limits.slow.tier_settle_ms
        if since_ms is None or since_ms >= settle_ms:
            return None
        text = f"{self.text}: {since_ms} ms ago, settles for {settle_ms}"
        return Fired(self.name, text, settle_ms, since_ms, self.is_latching)

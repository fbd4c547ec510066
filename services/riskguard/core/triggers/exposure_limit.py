"""More can be lost than may be: one market, one event, or everything (A-024, A-031)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View, worst_of


@dataclass(frozen=True, slots=True)
class ExposureLimit:
    """Worst-case loss of one scope; build with the three functions below."""

    name: str
    text: str
    amounts: Callable[[View], Mapping[str, int]]
    limit: Callable[[Limits], int]
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        scope, worst_e6 = worst_of(self.amounts(view))
        limit_e6 = self.limit(limits)
        if worst_e6 <= limit_e6:
            return None
        text = f"{self.text}: {scope} can lose {worst_e6}, limit {limit_e6}"
        return Fired(self.name, text, limit_e6, worst_e6, self.is_latching)


def market_exposure() -> ExposureLimit:
    """Return the rule of single markets."""
    return ExposureLimit(
        "market_exposure",
        "the worst case of a market passed its limit",
        lambda view: view.market_exposure_e6,
        lambda limits: limits.market_exposure_e6,
    )


def event_exposure() -> ExposureLimit:
    """Return the rule of events."""
    return ExposureLimit(
        "event_exposure",
        "the worst case of an event passed its limit",
        lambda view: view.event_exposure_e6,
        lambda limits: limits.event_exposure_e6,
    )


def account_exposure() -> ExposureLimit:
    """Return the rule of the whole account."""
    return ExposureLimit(
        "account_exposure",
        "the worst case of the account passed its limit",
        lambda view: {"account": view.account_exposure_e6},
        lambda limits: limits.account_exposure_e6,
    )

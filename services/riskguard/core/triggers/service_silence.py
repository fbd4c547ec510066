"""Nobody says what the books are, or what to quote: a pause until somebody does."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View, worst_of


@dataclass(frozen=True, slots=True)
class ServiceSilence:
    """Nobody says what the books are, or what to quote: a pause until somebody does."""

    name: str = "service_silence"
    text: str = "a service that we need is silent"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        service, silent_ms = worst_of(view.health.silences_ms)
        limit_ms = limits.health.service_silence_ms
        if silent_ms <= limit_ms:
            return None
        text = f"{self.text}: {service} for {silent_ms} ms, limit {limit_ms}"
        return Fired(self.name, text, limit_ms, silent_ms, self.is_latching)

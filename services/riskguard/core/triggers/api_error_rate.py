"""Too many requests to the venue fail, by number or by share; 429 apart (D-064)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class ApiErrorRate:
    """Too many requests to the venue fail, by number or by share; 429 apart (D-064)."""

    name: str = "api_error_rate"
    text: str = "too many requests to the venue fail"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        seen, most = view.conduct, limits.conduct
        requests, errors = seen.api_requests_last_minute, seen.api_errors_last_minute
        told = f"{self.text}: {errors} of {requests}"
        if errors > most.api_errors_per_minute:
            text = f"{told} within a minute, limit {most.api_errors_per_minute}"
            return Fired(self.name, text, most.api_errors_per_minute, errors, self.is_latching)
        is_enough = requests >= max(1, most.api_requests_min)
        if is_enough and errors * 10_000 > most.api_error_share_e4 * requests:
            share_e4 = errors * 10_000 // requests
            text = f"{told} within a minute, limit {most.api_error_share_e4} of 10000"
            return Fired(self.name, text, most.api_error_share_e4, share_e4, self.is_latching)
        return None

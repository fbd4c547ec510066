"""What the triggers of this area see at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HealthView:
    """The machinery.

    Attributes:
        silences_ms: How long each service that must be heard has been silent, by service.
        clock_step_ms: By how much our wall clock moved against our monotonic one lately; signed.
        clock_skews_ms: What is proven of other clocks minus ours, by whose it is; signed.
        loop_lags_ms: The worst lately, by service and instance.
        exchange_problems: Why the exchange cannot be traded with where we are in it; one text each.
        boots: How often each service started within the window.
        build_problems: Which builds or configurations do not belong together; one text each.
        warnings: What people should know and nothing fires for, by a key that stays while it is so.
    """

    silences_ms: Mapping[str, int] = field(default_factory=dict)
    clock_step_ms: int = 0
    clock_skews_ms: Mapping[str, int] = field(default_factory=dict)
    loop_lags_ms: Mapping[str, int] = field(default_factory=dict)
    exchange_problems: tuple[str, ...] = ()
    boots: Mapping[str, int] = field(default_factory=dict)
    build_problems: tuple[str, ...] = ()
    warnings: Mapping[str, str] = field(default_factory=dict)

    def gauges(self) -> dict[str, int]:
        """Return the worst of each, for the service's status; skews and steps signed."""
        return {
            "service_silence_ms": max(self.silences_ms.values(), default=0),
            "clock_step_ms": self.clock_step_ms,
            "clock_skew_ms": max(self.clock_skews_ms.values(), key=abs, default=0),
            "loop_lag_ms": max(self.loop_lags_ms.values(), default=0),
            "exchange_problems": len(self.exchange_problems),
            "boots_most": max(self.boots.values(), default=0),
            "build_problems": len(self.build_problems),
        }

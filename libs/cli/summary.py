"""What a demo did: counters over every life of every service, and the verdict.

A service that was killed starts counting at zero again, under a new instance
name. So the newest status of every instance ever heard is kept, counters are
summed over the instances of a service and gauges taken from its newest one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from libs.common.messages.health import StatusV1


@dataclass(slots=True)
class Tally:
    """The newest status of every instance of every service."""

    _statuses: dict[tuple[str, str], StatusV1] = field(default_factory=dict)
    _newest: dict[str, StatusV1] = field(default_factory=dict)
    _rss_mb: dict[str, float] = field(default_factory=dict)

    def hear(self, status: StatusV1) -> None:
        """Take one answer of ``svc.<service>.status``."""
        self._statuses[status.service, status.instance] = status
        self._newest[status.service] = status
        self._rss_mb[status.service] = max(self._rss_mb.get(status.service, 0.0), status.rss_mb)

    def newest(self, service: str) -> StatusV1 | None:
        """Return the newest status of a service, or None if it never answered."""
        return self._newest.get(service)

    def total(self, service: str, counter: str) -> int:
        """Return a counter summed over all instances of a service."""
        return sum(
            status.counters.get(counter, 0) for (name, _), status in self._statuses.items() if name == service
        )

    def gauge(self, service: str, name: str) -> float | None:
        """Return a gauge of the newest instance, or None if it never told it."""
        status = self._newest.get(service)
        return None if status is None else status.gauges.get(name)

    @property
    def rss_mb(self) -> dict[str, float]:
        """Return the largest resident memory each service told."""
        return {name: round(value, 1) for name, value in sorted(self._rss_mb.items())}


class MarketLine(msgspec.Struct, frozen=True, kw_only=True):
    """One market of the summary."""

    market: str
    state: str
    result: str
    fills: int
    traded_e2: int
    position_e2: int
    realised_e6: int
    fees_e6: int


class HaltLine(msgspec.Struct, frozen=True, kw_only=True):
    """One halt that happened; being born halted is none."""

    sequence: int
    source: str
    reason: str


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Book change on the wire to order request on the wire, microseconds."""

    p50: float | None
    p99: float | None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """``var/demo/summary.json``. Residuals are ours minus the exchange's own account; None if unreadable."""

    duration_s: float
    effective_speed: float
    markets: list[MarketLine]
    md_messages: int
    books_published: int
    decisions: int
    targets: int
    orders_created: int
    orders_amended: int
    orders_decreased: int
    orders_cancelled: int
    http_calls: int
    fills: int
    fees_e6: int
    pnl_e6: int
    orphans: int | None
    duplicates: int | None
    unknown_open: int | None
    position_residual_e2: int | None
    cash_residual_e6: int | None
    halts: list[HaltLine]
    gate_state_at_end: str
    tick_to_order_us: Latency
    rss_mb: dict[str, float]

    def failures(self) -> list[str]:
        """Return what is not as it must be; unmeasured is not zero."""
        checked = {
            "orphans": self.orphans,
            "duplicates": self.duplicates,
            "unknown_open": self.unknown_open,
            "position_residual_e2": self.position_residual_e2,
            "cash_residual_e6": self.cash_residual_e6,
        }
        return [
            f"{name} is {'unknown' if value is None else value}, expected 0"
            for name, value in checked.items()
            if value != 0
        ]

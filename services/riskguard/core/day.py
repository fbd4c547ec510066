"""When the trading day began, in its own zone: the hour is local, so a day may have 23 or 25 hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class TradingDay:
    """A zone and the local hour at which its day begins."""

    zone: ZoneInfo
    start_hour: int

    def start_ms(self, now_ms: int) -> int:
        """Return the Unix milliseconds at which the day that contains ``now_ms`` began."""
        now = datetime.fromtimestamp(now_ms / 1_000, UTC)
        local = now.astimezone(self.zone)
        start = self._start_of(local)
        if start > now:
            start = self._start_of(local - timedelta(days=1))
        return int(start.timestamp()) * 1_000

    def _start_of(self, local: datetime) -> datetime:
        # Where the hour does not exist (spring), `fold=0` takes the moment the clocks jump from.
        start = datetime(local.year, local.month, local.day, self.start_hour, tzinfo=self.zone)
        return start.astimezone(UTC)

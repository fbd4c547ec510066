"""The newest few thousand latencies and their quantiles; bounded whatever happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_KEPT: Final = 4_096
QUANTILES: Final[Mapping[str, float]] = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


@dataclass(slots=True)
class Latencies:
    """A ring of microseconds."""

    _values: deque[int] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, us: int) -> None:
        """Take one value."""
        self._values.append(us)

    def quantile(self, share: float) -> int | None:
        """Return the nearest-rank quantile, None without values."""
        if not self._values:
            return None
        ordered = sorted(self._values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def gauges(self, name: str) -> dict[str, float]:
        """Return the quantiles as ``<name>_us_p50`` and so on; nothing without values."""
        if not self._values:
            return {}
        ordered = sorted(self._values)
        last = len(ordered) - 1
        return {
            f"{name}_us_{quantile}": float(ordered[min(last, int(share * len(ordered)))])
            for quantile, share in QUANTILES.items()
        }

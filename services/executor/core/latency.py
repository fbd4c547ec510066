"""The newest few thousand latencies and their quantiles; bounded whatever happens."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_KEPT = 4_096


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

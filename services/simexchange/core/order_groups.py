"""Order groups: the venue's own fuse (kalshi-api section 15).

A group counts the contracts matched by all its orders within a rolling window
of fifteen seconds. More than its limit triggers it: its resting orders are
cancelled and new ones with its id are refused until it is reset. Strictly more
than the limit, and a single fill may overshoot; the group never caps a match.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_NS = 15_000_000_000
LIMIT_E2_MAX = 1_000_000 * 100


@dataclass(slots=True, eq=False)
class OrderGroup:
    """One group of one account on one shard."""

    order_group_id: str
    account: str
    shard: int
    limit_e2: int
    is_triggered: bool = False
    resets: int = 0
    _matched: deque[tuple[int, int]] = field(default_factory=deque)
    _rolling_e2: int = 0

    def count(self, qty_e2: int, now_ns: int) -> bool:
        """Count a fill and return whether the limit is now exceeded."""
        self._matched.append((now_ns, qty_e2))
        self._rolling_e2 += qty_e2
        return self.is_over(now_ns)

    def is_over(self, now_ns: int) -> bool:
        """Return whether more than the limit was matched within the window."""
        return self.rolling_e2(now_ns) > self.limit_e2

    def rolling_e2(self, now_ns: int) -> int:
        """Return what was matched in the last fifteen seconds."""
        while self._matched and self._matched[0][0] <= now_ns - WINDOW_NS:
            self._rolling_e2 -= self._matched.popleft()[1]
        return self._rolling_e2

    def reset(self) -> None:
        """Forget what was matched and take orders again."""
        self._matched.clear()
        self._rolling_e2 = 0
        self.is_triggered = False
        self.resets += 1

"""Round trips of one market: from flat to flat or through zero, each with its result after fees.

A settlement closes what is held as a fill would. A fill past flat closes one trip
and begins the next; its fee is split by quantity, the odd unit on the closed one.
An amended settlement changes the result of the trip that the first one closed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Final

TRIPS_MAX: Final = 50
"""The newest of each market are kept; no limit looks at more."""


@dataclass(frozen=True, slots=True, order=True)
class Trip:
    """One closed round trip; they sort by closing time.

    Attributes:
        closed_ms: Exchange time of the fill or the settlement that closed it.
        market: Where.
        key: Tells trips of one millisecond apart.
        result_e6: What it made, after fees, in millionths of a dollar.
        is_settled: A settlement closed it.
    """

    closed_ms: int
    market: str
    key: str
    result_e6: int
    is_settled: bool = False


@dataclass(slots=True)
class RoundTrips:
    """The trips of one market, fed in venue order."""

    closed: deque[Trip] = field(default_factory=lambda: deque(maxlen=TRIPS_MAX))
    _running_e6: int = 0

    def copy(self) -> RoundTrips:
        """Return one that goes on by itself."""
        return replace(self, closed=self.closed.copy())

    def on_fill(
        self, at: tuple[int, str, str], before_e2: int, after_e2: int, realised_e6: int, fee_e6: int
    ) -> None:
        """Take one fill.

        Args:
            at: Exchange time, market, and a key of the fill.
            before_e2: Signed position before it.
            after_e2: And after it.
            realised_e6: Result of the closed part, before fees.
            fee_e6: Its fee.
        """
        is_through = before_e2 * after_e2 < 0
        opened_fee_e6 = fee_e6 * abs(after_e2) // abs(after_e2 - before_e2) if is_through else 0
        self._running_e6 += realised_e6 - (fee_e6 - opened_fee_e6)
        if before_e2 and (is_through or not after_e2):
            self.closed.append(Trip(*at, self._running_e6))
            self._running_e6 = -opened_fee_e6

    def on_settlement(self, at: tuple[int, str, str], before_e2: int, net_e6: int) -> None:
        """Take a settlement, or what an amended one pays more than the one before it.

        Args:
            at: Exchange time, market, and a key.
            before_e2: Signed position before it; an amended one finds 0.
            net_e6: Result after fees.
        """
        if before_e2:
            self.closed.append(Trip(*at, self._running_e6 + net_e6, is_settled=True))
            self._running_e6 = 0
        elif self.closed and self.closed[-1].is_settled:
            last = self.closed.pop()
            self.closed.append(replace(last, closed_ms=at[0], result_e6=last.result_e6 + net_e6))

"""Add up what happened within the last while; what came late stays for what is left of its time."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rate:
    """Amounts within ``length_ns``; holds no more than happened within it."""

    length_ns: int
    _total: int = 0
    _ends: list[tuple[int, int]] = field(default_factory=list)
    """A heap of (monotonic end, amount)."""

    def add(self, now_ns: int, age_ns: int = 0, amount: int = 1) -> None:
        """Add what happened ``age_ns`` ago."""
        if age_ns < self.length_ns:
            heapq.heappush(self._ends, (now_ns + self.length_ns - age_ns, amount))
            self._total += amount

    def total(self, now_ns: int) -> int:
        """Return the sum of what is not over yet."""
        while self._ends and self._ends[0][0] <= now_ns:
            self._total -= heapq.heappop(self._ends)[1]
        return self._total


@dataclass(slots=True)
class Tally:
    """Counts within ``length_ns``, kept by steps of ``step_ns``: for long windows whose edge may be soft."""

    length_ns: int
    step_ns: int
    _counts: dict[int, int] = field(default_factory=dict)

    def add(self, now_ns: int, amount: int = 1) -> None:
        """Add to the present step."""
        step = now_ns // self.step_ns
        self._counts[step] = self._counts.get(step, 0) + amount
        self._prune(now_ns)

    def total(self, now_ns: int) -> int:
        """Return the sum of the steps that began within the window."""
        self._prune(now_ns)
        return sum(self._counts.values())

    def _prune(self, now_ns: int) -> None:
        oldest = (now_ns - self.length_ns) // self.step_ns
        for step in [step for step in self._counts if step <= oldest]:
            del self._counts[step]

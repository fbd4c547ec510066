"""Clocks as things that are handed in; no core ever reads one.

Wall time signs requests and is compared with the exchange's stamps; deadlines
and ages come from the monotonic clock (design rule 10).
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall and monotonic time in nanoseconds."""

    def now_ns(self) -> int:
        """Return Unix time."""
        ...

    def mono_ns(self) -> int:
        """Return the monotonic clock, comparable between processes of one host."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        """Return Unix time in nanoseconds."""
        return time.time_ns()

    def mono_ns(self) -> int:
        """Return the monotonic clock in nanoseconds."""
        return time.monotonic_ns()


class ManualClock:
    """A clock that moves when told; for tests and simulation."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000, mono_ns: int = 1_000_000_000) -> None:
        self._now_ns = now_ns
        self._mono_ns = mono_ns

    def now_ns(self) -> int:
        """Return the set wall time."""
        return self._now_ns

    def mono_ns(self) -> int:
        """Return the set monotonic time."""
        return self._mono_ns

    def advance(self, ns: int) -> None:
        """Move both clocks forward."""
        assert ns >= 0, ns
        self._now_ns += ns
        self._mono_ns += ns

    def step_wall(self, ns: int) -> None:
        """Step the wall clock only, as a bad time service does."""
        self._now_ns += ns

"""When a recorded instant happens here: compressed time that can fall behind.

A tape of speed ten plays ten recorded milliseconds in one. Where the machine
is too slow the clock gives way instead of the events: lag above ``lag_ns_max``
moves everything still to come, and the sum of these moves is the slip that
market close times follow. Lag below it is caught up, so a burst passes at the
machine's pace and the schedule holds.
"""

from __future__ import annotations

from typing import Final

MS: Final = 1_000_000
LAG_NS_MAX: Final = 250 * MS


class TapeClock:
    """Wall time of recorded offsets; ``start_ns`` and every ``now_ns`` are Unix nanoseconds."""

    def __init__(self, speed: float, start_ns: int, lag_ns_max: int = LAG_NS_MAX) -> None:
        assert speed > 0, f"positive speed, was {speed}"
        self.speed = speed
        self.start_ns = start_ns
        self.slip_ns = 0
        self._lag_ns_max = lag_ns_max
        self._ns_per_tape_ms = MS / speed
        self.played_ms = 0

    def due_ns(self, offset_ms: int) -> int:
        """Return when the recorded offset from the tape's start is to be played."""
        return self.start_ns + self.slip_ns + int(offset_ms * self._ns_per_tape_ms)

    def play(self, offset_ms: int, now_ns: int) -> None:
        """Note that the event at this offset was played now; give way if it was too late."""
        self.played_ms = max(self.played_ms, offset_ms)
        lag_ns = now_ns - self.due_ns(offset_ms)
        if lag_ns > self._lag_ns_max:
            self.slip_ns += lag_ns - self._lag_ns_max

    def effective_speed(self, now_ns: int) -> float:
        """Return recorded time played per wall time passed since the start."""
        passed_ns = now_ns - self.start_ns
        return self.played_ms * MS / passed_ns if passed_ns > 0 else 0.0

"""How long ago something had happened at the venue when we heard of it.

A rate goes by the venue's time: fills that a listing tells minutes late must not
count as a storm. Lateness is measured against the promptest news so far: a wall
clock of ours that is ahead makes everything look equally late, which is not late
at all. What looks as if it came from the future (a clock behind, a wrong stamp) is
new, and teaches nothing: the doubt counts more, never less.
"""

from __future__ import annotations

from dataclasses import dataclass

_MS = 1_000_000


@dataclass(slots=True)
class VenueAge:
    """One venue's time as we know it."""

    _wall_offset_ms: int | None = None
    _promptest_ms: int | None = None
    """The smallest lag seen, never below zero."""

    def on_tick(self, now_ns: int, now_ms: int) -> None:
        """Learn what the wall clock says at a monotonic moment."""
        self._wall_offset_ms = now_ms - now_ns // _MS

    def of(self, venue_ms: int, now_ns: int) -> int:
        """Return the age in nanoseconds of what the venue stamped so; without a stamp it is new."""
        if venue_ms <= 0 or self._wall_offset_ms is None:
            return 0
        lag_ms = max(0, self._wall_offset_ms + now_ns // _MS - venue_ms)
        if self._promptest_ms is None or lag_ms < self._promptest_ms:
            self._promptest_ms = lag_ms
        return (lag_ms - self._promptest_ms) * _MS

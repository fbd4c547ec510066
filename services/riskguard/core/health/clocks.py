"""Our wall clock against our monotonic one, against the exchange's, and against other services'.

Rules of the file:

* A step is a move against the monotonic clock between two moments of the last ten
  seconds: small steps one after the other add up, the slow pull of a time service
  does not (0.5 ms a second at most).
* A skew is told only as far as it is proven. An answer of the exchange proves an
  interval; several narrow it, and where they contradict each other the newest three
  decide, or nothing does.
* A heartbeat that comes late looks like a clock that is behind, so the quickest of
  the last eight speaks for its sender, and fewer than four say nothing.
* Whatever was compared with our wall clock before it stepped is forgotten.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from libs.common.kalshi.server_clock import ClockBounds
from libs.common.messages.health import BeatV1

STEP_WINDOW_NS: Final = 10_000_000_000
EXCHANGE: Final = "exchange"
_FORGET_MS: Final = 250
"""A step as large as this makes older comparisons worthless, whatever its own limit is."""
_OFFSETS_KEPT: Final = 256
_BOUNDS_WINDOW_NS: Final = 30_000_000_000
_BOUNDS_KEPT: Final = 64
_BOUNDS_NEEDED: Final = 3
_BEATS_KEPT: Final = 8
_BEATS_NEEDED: Final = 4
_SENDERS_MAX: Final = 256
_SENDER_FORGOTTEN_NS: Final = 5_000_000_000
_MS: Final = 1_000_000


@dataclass(slots=True)
class _Sender:
    """One instance: when it was last heard, and its clock minus ours at the last beats, milliseconds."""

    heard_ns: int = 0
    differences_ms: deque[int] = field(default_factory=lambda: deque(maxlen=_BEATS_KEPT))


class Clocks:
    """What is known of clocks."""

    def __init__(self) -> None:
        self._offsets: deque[tuple[int, int]] = deque(maxlen=_OFFSETS_KEPT)
        """Monotonic time and wall minus monotonic, nanoseconds."""
        self._bounds: deque[tuple[int, ClockBounds]] = deque(maxlen=_BOUNDS_KEPT)
        self._senders: dict[str, _Sender] = {}

    def on_tick(self, now_ns: int, now_ms: int) -> None:
        """Compare our two clocks."""
        offset_ns = now_ms * _MS - now_ns
        if self._offsets and abs(offset_ns - self._offsets[-1][1]) > _FORGET_MS * _MS:
            self._bounds.clear()
            self._senders.clear()
        self._offsets.append((now_ns, offset_ns))
        while now_ns - self._offsets[0][0] > STEP_WINDOW_NS:
            self._offsets.popleft()

    def on_beat(self, beat: BeatV1, now_ns: int) -> None:
        """Compare a sender's clock with ours, which is known as of the last tick."""
        if beat.sent_ms is None or not self._offsets:
            return
        now_ms = (now_ns + self._offsets[-1][1]) // _MS
        name = f"{beat.service}/{beat.instance}"
        sender = self._senders.pop(name, None) or _Sender()
        if len(self._senders) >= _SENDERS_MAX:
            del self._senders[next(iter(self._senders))]
        self._senders[name] = sender
        sender.heard_ns = now_ns
        sender.differences_ms.append(beat.sent_ms - now_ms)

    def on_exchange_clock(self, bounds: ClockBounds, now_ns: int) -> None:
        """Take what an answer of the exchange proves."""
        self._bounds.append((now_ns, bounds))

    def step_ms(self) -> int:
        """Return the largest move of the last ten seconds, signed."""
        if not self._offsets:
            return 0
        latest_ns = self._offsets[-1][1]
        moves_ns = (latest_ns - offset_ns for _, offset_ns in self._offsets)
        return _toward_zero(max(moves_ns, key=abs), _MS)

    def skews_ms(self, now_ns: int) -> dict[str, int]:
        """Return what is proven of each other clock minus ours, signed; zero where nothing is."""
        skews = {}
        for name, sender in self._senders.items():
            is_known = len(sender.differences_ms) >= _BEATS_NEEDED
            if is_known and now_ns - sender.heard_ns <= _SENDER_FORGOTTEN_NS:
                skews[name] = max(sender.differences_ms)
        recent = [bounds for at_ns, bounds in self._bounds if now_ns - at_ns <= _BOUNDS_WINDOW_NS]
        if len(recent) >= _BOUNDS_NEEDED:
            proven_ns = _proven_ns(recent)
            if proven_ns is None:
                proven_ns = _proven_ns(recent[-_BOUNDS_NEEDED:])
            skews[EXCHANGE] = _toward_zero(proven_ns or 0, _MS)
        return skews


def _proven_ns(bounds: list[ClockBounds]) -> int | None:
    """Return the smallest difference that fits all bounds, or None where none does."""
    low_ns = max(bound.low_ns for bound in bounds)
    high_ns = min(bound.high_ns for bound in bounds)
    if low_ns > high_ns:
        return None
    return low_ns if low_ns > 0 else min(0, high_ns)


def _toward_zero(value: int, unit: int) -> int:
    return value // unit if value >= 0 else -(-value // unit)

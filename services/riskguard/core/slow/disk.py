"""The disk on which our state lies, and when it will be full at the growth of the last hours (F17)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from services.riskguard.core.slow.limits import SlowLimits
from services.riskguard.core.slow.readings import DiskRead

SAMPLE_NS: Final = 600_000_000_000
_SAMPLES: Final = 145
"""A day of samples, and the one before."""
_SAMPLES_NEEDED: Final = 7
_MS: Final = 1_000_000
_ALL_E4: Final = 10_000


class DiskWatch:
    """The newest look, and one each ten minutes of the last day."""

    def __init__(self) -> None:
        self._now: DiskRead | None = None
        self._samples: deque[tuple[int, int]] = deque(maxlen=_SAMPLES)

    def on_disk(self, read: DiskRead, now_ns: int) -> None:
        """Take a look."""
        self._now = read
        if not self._samples or now_ns - self._samples[-1][0] >= SAMPLE_NS:
            self._samples.append((now_ns, read.used_bytes))

    @property
    def used_e4(self) -> int | None:
        """Return the share that is used of what we could use, rounded up."""
        if self._now is None:
            return None
        whole = self._now.used_bytes + self._now.free_bytes
        return -(-self._now.used_bytes * _ALL_E4 // whole) if whole else _ALL_E4

    @property
    def free_bytes(self) -> int | None:
        """Return what is free."""
        return None if self._now is None else self._now.free_bytes

    def left_ms(self, limits: SlowLimits) -> int | None:
        """Return how long until the limit at the growth so far; None where nobody can tell."""
        if self._now is None or len(self._samples) < _SAMPLES_NEEDED:
            return None
        (first_ns, first), (last_ns, last) = self._samples[0], self._samples[-1]
        if last <= first:
            return None
        whole = self._now.used_bytes + self._now.free_bytes
        room = max(0, whole * min(limits.disk_used_e4, _ALL_E4) // _ALL_E4 - self._now.used_bytes)
        return room * ((last_ns - first_ns) // _MS) // (last - first)

    def warnings(self, limits: SlowLimits) -> Iterator[tuple[str, str]]:
        """Return what people should know; each of the two levels is told once."""
        used_e4 = self.used_e4
        for level_e4 in (limits.disk_warn_e4, limits.disk_high_e4):
            if used_e4 is not None and used_e4 > level_e4:
                yield f"disk {level_e4}", f"{used_e4 / 100:.1f} % of the disk of our state is used"

"""The account's tier: when it ends, and whether the venue gives less than it gave."""

from __future__ import annotations

from collections.abc import Iterator

from libs.common.kalshi.model import AccountLimits
from services.riskguard.core.slow.limits import SlowLimits
from services.riskguard.core.slow.view import DAY_MS

_MS = 1_000_000


class TierWatch:
    """What the account may ask for, against what it was a reading before."""

    def __init__(self) -> None:
        self._now: AccountLimits | None = None
        self._write_most = 0
        self._lowered_ns: int | None = None

    def on_limits(self, read: AccountLimits, now_ns: int) -> list[str]:
        """Take a reading and return what must be told at once."""
        was, self._now = self._now, read
        self._write_most = max(self._write_most, read.write.refill_per_s)
        if was is None or not _is_less(read, was):
            return []
        self._lowered_ns = now_ns
        rates = f"{was.write.refill_per_s} tokens a second to write became {read.write.refill_per_s}"
        return [f"the venue gives the account less: tier {was.tier} became {read.tier}, {rates}"]

    def settling_ms(self, now_ns: int) -> int | None:
        """Return how long ago the account was given less, None if never since our start."""
        return None if self._lowered_ns is None else (now_ns - self._lowered_ns) // _MS

    def share_e4(self) -> int | None:
        """Return what the account may write of the most since our start."""
        if self._now is None or not self._write_most:
            return None
        return self._now.write.refill_per_s * 10_000 // self._write_most

    def left_ms(self, now_ms: int) -> int | None:
        """Return how long the tier lasts, None where nobody knows or it has no end."""
        ends_ms = None if self._now is None else self._now.expires_ms
        return None if ends_ms is None else ends_ms - now_ms

    def warnings(self, limits: SlowLimits, now_ms: int) -> Iterator[tuple[str, str]]:
        """Return what people should know."""
        left_ms = self.left_ms(now_ms)
        if left_ms is not None and left_ms <= limits.tier_warn_days * DAY_MS:
            yield "tier ends", f"the account's tier ends in {left_ms / DAY_MS:.1f} days"


def _is_less(now: AccountLimits, was: AccountLimits) -> bool:
    pairs = ((now.read, was.read), (now.write, was.write))
    return any(n.refill_per_s < w.refill_per_s or n.capacity < w.capacity for n, w in pairs)

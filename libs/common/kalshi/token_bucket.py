"""One of the venue's token buckets, mirrored: exact integers, no clock, no sleep.

The mirror can be behind the venue, never ahead; `libs/common/kalshi/budget.py` says
how the buckets of an account work together.
"""

from __future__ import annotations

from typing import Final

from libs.common.kalshi.model import Bucket

FACTOR_FULL: Final = 1_000
UNITS: Final = 1_000_000_000 * FACTOR_FULL
"""Parts of a token: time in nanoseconds, rate in tokens per second and the factor multiply exactly."""
FACTOR_MIN: Final = 62
FACTOR_STEP: Final = 50
LOW_PCT: Final = 20
BACKOFF_MIN_NS: Final = 100_000_000
BACKOFF_MAX_NS: Final = 30_000_000_000


class TokenBucket:
    """One bucket of the venue, mirrored from empty.

    Args:
        bucket: Rate and capacity as the venue tells them.
        now_ns: Monotonic; the bucket is empty now.
        reserve: Tokens that only reserved spending may touch.
        kept: Tokens of the reserve that even reserved spending leaves.
        backoff_max_ns: Longest time that refusals keep creates away.
    """

    def __init__(
        self,
        bucket: Bucket,
        now_ns: int,
        reserve: int = 0,
        kept: int = 0,
        backoff_max_ns: int = BACKOFF_MAX_NS,
    ) -> None:
        self._set(bucket, reserve, kept)
        self._level = 0
        self._at_ns = now_ns
        self._factor = FACTOR_FULL
        self._backoff_max_ns = backoff_max_ns
        self.backoff_until_ns = 0
        self.consecutive_rate_limits = 0

    @property
    def rate(self) -> int:
        """Return the refill rate in tokens per second, as cut by rate-limit answers."""
        return self._rate * self._factor // FACTOR_FULL

    @property
    def spendable_max(self) -> int:
        """Return the largest cost that unreserved spending can ever pay."""
        return max(0, self._capacity - self._reserve)

    @property
    def last_refill_ns(self) -> int:
        """Return when the mirror was last brought up to date; monotonic."""
        return self._at_ns

    @property
    def level(self) -> int:
        """Return the whole tokens of then; below zero after a charge that nobody asked for."""
        return self._level // UNITS

    def tokens(self, now_ns: int) -> int:
        """Return the whole tokens in the mirror."""
        self._refill(now_ns)
        return max(0, self._level // UNITS)

    def spendable(self, now_ns: int) -> int:
        """Return the tokens that unreserved spending may take now."""
        if now_ns < self.backoff_until_ns:
            return 0
        return max(0, self.tokens(now_ns) - self._reserve)

    def is_low(self, now_ns: int) -> bool:
        """Return whether a fifth or less is left: time to be choosy."""
        return self.tokens(now_ns) * 100 <= self._capacity * LOW_PCT

    def acquire(self, cost: int, now_ns: int, *, is_reserved: bool = False) -> int:
        """Take ``cost`` tokens and return 0, or take none and return the wait in nanoseconds.

        Raises:
            ValueError: No wait would ever be long enough.
        """
        assert cost >= 0, cost
        kept = self._kept if is_reserved else self._reserve
        if cost > self._capacity - kept:
            raise ValueError(
                f"expected a cost of at most {self._capacity - kept} "
                f"(capacity {self._capacity}, reserve {kept}), was {cost}"
            )
        wait_ns = self.wait_ns(cost, now_ns, is_reserved=is_reserved)
        if not wait_ns:
            self._level -= cost * UNITS
        return wait_ns

    def wait_ns(self, cost: int, now_ns: int, *, is_reserved: bool = False) -> int:
        """Return how long until ``cost`` tokens are there, 0 if they are; takes none."""
        self._refill(now_ns)
        missing = (cost + (self._kept if is_reserved else self._reserve)) * UNITS - self._level
        wait_ns = -(-missing // (self._rate * self._factor)) if missing > 0 else 0
        return wait_ns if is_reserved else max(wait_ns, self.backoff_until_ns - now_ns)

    def charge(self, cost: int, now_ns: int) -> None:
        """Take tokens for what is sent without asking; the mirror owes what it does not hold."""
        self._refill(now_ns)
        self._level = max(-self._capacity * UNITS, self._level - cost * UNITS)

    def empty(self, now_ns: int) -> int:
        """Believe nothing is left and refill at half the rate: the venue just said so.

        Returns:
            For how long creates stay away, in nanoseconds; doubled with each refusal in a row.
        """
        self._at_ns = max(self._at_ns, now_ns)
        self._level = min(0, self._level)
        self._factor = max(FACTOR_MIN, self._factor // 2)
        self.consecutive_rate_limits += 1
        backoff_ns = BACKOFF_MIN_NS << min(self.consecutive_rate_limits - 1, 16)
        # Spread over a quarter, so that several who share the account do not come back together.
        backoff_ns = min(self._backoff_max_ns, backoff_ns + now_ns % (backoff_ns // 4))
        self.backoff_until_ns = max(self.backoff_until_ns, now_ns + backoff_ns)
        return backoff_ns

    def recover(self) -> None:
        """End the back-off and give a twentieth of the full rate back after a success."""
        self._factor = min(FACTOR_FULL, self._factor + FACTOR_STEP)
        self.backoff_until_ns = self.consecutive_rate_limits = 0

    def change(self, bucket: Bucket, now_ns: int, reserve: int, kept: int) -> None:
        """Take other terms; what is in the bucket stays, and is never more than fits."""
        self._refill(now_ns)
        self._set(bucket, reserve, kept)
        self._level = min(self._level, self._capacity * UNITS)

    def _set(self, bucket: Bucket, reserve: int, kept: int) -> None:
        assert bucket.refill_per_s > 0, bucket
        assert bucket.capacity > 0, bucket
        self._rate, self._capacity = bucket.refill_per_s, bucket.capacity
        self._reserve, self._kept = reserve, kept

    def _refill(self, now_ns: int) -> None:
        if now_ns <= self._at_ns:
            return
        gained = (now_ns - self._at_ns) * self._rate * self._factor
        self._level = min(self._capacity * UNITS, self._level + gained)
        self._at_ns = now_ns

"""The venue's token buckets, mirrored, so that we wait here and are not refused there.

The venue bills each account a read and a write bucket per its tier, and a write
bucket of its own for every shard above 0 (kalshi-api 5). The mirror is exact
integer arithmetic in tiny parts of a token: it can be behind the venue, never
ahead.

Rules of the file:

1. A bucket starts empty. After a restart nobody knows what the process before
   has spent, and a full mirror would answer a crash loop with a burst.
2. Nothing here sleeps or reads a clock: `acquire` takes the tokens and returns
   0, or takes nothing and returns how long to wait.
3. Creates never touch the cancel reserve: one group trigger in every bucket,
   and one full cancel batch in the unscoped one, which pays for all batches.
4. A rate-limit answer empties the mirror and halves its rate: whatever we
   believed was wrong, perhaps because somebody else spends from this account.
   Each success gives a little back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from libs.common.kalshi.model import AccountLimits, Bucket, EndpointCosts

FACTOR_FULL: Final = 1_000
UNITS: Final = 1_000_000_000 * FACTOR_FULL
"""Parts of a token: time in nanoseconds, rate in tokens per second and the factor multiply exactly."""
FACTOR_MIN: Final = 62
FACTOR_STEP: Final = 50
LOW_PCT: Final = 20
UNSCOPED: Final = 0
"""The bucket of shard 0 and of every batch, whichever shards its items name."""

API_ROOT: Final = "/trade-api/v2"
CREATE: Final = ("POST", f"{API_ROOT}/portfolio/events/orders")
CREATE_BATCH: Final = ("POST", f"{API_ROOT}/portfolio/events/orders/batched")
AMEND: Final = ("POST", f"{API_ROOT}/portfolio/events/orders/:order_id/amend")
DECREASE: Final = ("POST", f"{API_ROOT}/portfolio/events/orders/:order_id/decrease")
CANCEL: Final = ("DELETE", f"{API_ROOT}/portfolio/events/orders/:order_id")
CANCEL_BATCH: Final = ("DELETE", f"{API_ROOT}/portfolio/events/orders/batched")
CANCEL_ALL: Final = ("DELETE", f"{API_ROOT}/portfolio/events/orders")
GROUP_CREATE: Final = ("POST", f"{API_ROOT}/portfolio/order_groups/create")
GROUP_TRIGGER: Final = ("PUT", f"{API_ROOT}/portfolio/order_groups/:order_group_id/trigger")


def cost_of(costs: EndpointCosts, endpoint: tuple[str, str], items: int = 1) -> int:
    """Return the tokens of one call; batches are billed per item.

    Cancel-all is not in the list of every host; it is billed as one cancel
    (kalshi-api 5.2), so it takes that price where its own is missing.
    """
    default = costs.default
    if endpoint == CANCEL_ALL:
        default = costs.by_endpoint.get(CANCEL, default)
    return costs.by_endpoint.get(endpoint, default) * items


class TokenBucket:
    """One bucket of the venue, mirrored from empty.

    Args:
        bucket: Rate and capacity as the venue tells them.
        now_ns: Monotonic; the bucket is empty now.
        reserve: Tokens that only reserved spending may touch.
    """

    def __init__(self, bucket: Bucket, now_ns: int, reserve: int = 0) -> None:
        assert bucket.refill_per_s > 0, bucket
        assert bucket.capacity > 0, bucket
        self._rate = bucket.refill_per_s
        self._capacity = bucket.capacity
        self._reserve = reserve
        self._level = 0
        self._at_ns = now_ns
        self._factor = FACTOR_FULL

    @property
    def rate(self) -> int:
        """Return the refill rate in tokens per second, as cut by rate-limit answers."""
        return self._rate * self._factor // FACTOR_FULL

    @property
    def spendable_max(self) -> int:
        """Return the largest cost that unreserved spending can ever pay."""
        return max(0, self._capacity - self._reserve)

    def tokens(self, now_ns: int) -> int:
        """Return the whole tokens in the mirror."""
        self._refill(now_ns)
        return self._level // UNITS

    def is_low(self, now_ns: int) -> bool:
        """Return whether a fifth or less is left: time to be choosy."""
        return self.tokens(now_ns) * 100 <= self._capacity * LOW_PCT

    def acquire(self, cost: int, now_ns: int, *, is_reserved: bool = False) -> int:
        """Take ``cost`` tokens and return 0, or take none and return the wait in nanoseconds.

        Raises:
            ValueError: No wait would ever be long enough.
        """
        assert cost >= 0, cost
        kept = 0 if is_reserved else self._reserve
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
        missing = (cost + (0 if is_reserved else self._reserve)) * UNITS - self._level
        return -(-missing // (self._rate * self._factor)) if missing > 0 else 0

    def empty(self, now_ns: int) -> None:
        """Believe nothing is left and refill at half the rate: the venue just said so."""
        self._at_ns = max(self._at_ns, now_ns)
        self._level = 0
        self._factor = max(FACTOR_MIN, self._factor // 2)

    def recover(self) -> None:
        """Give a twentieth of the full rate back after a success."""
        self._factor = min(FACTOR_FULL, self._factor + FACTOR_STEP)

    def _refill(self, now_ns: int) -> None:
        if now_ns <= self._at_ns:
            return
        gained = (now_ns - self._at_ns) * self._rate * self._factor
        self._level = min(self._capacity * UNITS, self._level + gained)
        self._at_ns = now_ns


class TokenBuckets:
    """The write buckets of an account: the unscoped one and one for every shard above 0.

    Args:
        limits: From ``/account/limits``.
        costs: From ``/account/endpoint_costs``.
        now_ns: Monotonic; all buckets are empty now.
        shards: The shards that orders may go to.
        cancel_batch_items: Size of the cancel batch that the reserve must always pay.
    """

    def __init__(
        self,
        limits: AccountLimits,
        costs: EndpointCosts,
        now_ns: int,
        *,
        shards: Iterable[int] = (UNSCOPED,),
        cancel_batch_items: int = 20,
    ) -> None:
        self._write = limits.write
        self.costs = costs
        trigger = cost_of(costs, GROUP_TRIGGER)
        batch = cost_of(costs, CANCEL_BATCH, cancel_batch_items)
        # A small tier keeps half for creates; its cancels come in smaller batches.
        self._reserve_unscoped = min(trigger + batch, limits.write.capacity // 2)
        self._reserve_shard = min(trigger, limits.write.capacity // 2)
        self._buckets = {UNSCOPED: TokenBucket(limits.write, now_ns, self._reserve_unscoped)}
        for shard in shards:
            self._bucket(shard, now_ns)

    def acquire(self, cost: int, now_ns: int, shard: int = UNSCOPED, *, is_cancel: bool = False) -> int:
        """Take ``cost`` tokens and return 0, or take none and return the wait in nanoseconds.

        Args:
            cost: From `cost_of`.
            now_ns: Monotonic.
            shard: The ``exchange_index`` of a single-order write; a batch pays unscoped (0), always.
            is_cancel: Cancels and triggers may spend the reserve.

        Raises:
            ValueError: No wait would ever be long enough; see `spendable_max`.
        """
        return self._bucket(shard, now_ns).acquire(cost, now_ns, is_reserved=is_cancel)

    def tokens(self, now_ns: int, shard: int = UNSCOPED) -> int:
        """Return the whole tokens in a bucket, reserve included."""
        return self._bucket(shard, now_ns).tokens(now_ns)

    def spendable(self, now_ns: int, shard: int = UNSCOPED) -> int:
        """Return the tokens that creates may take now."""
        return max(0, self.tokens(now_ns, shard) - self._reserve(shard))

    def spendable_max(self, shard: int = UNSCOPED) -> int:
        """Return the largest cost that creates can ever pay at once: the bound of a batch."""
        return max(0, self._write.capacity - self._reserve(shard))

    def wait_ns(self, cost: int, now_ns: int, shard: int = UNSCOPED) -> int:
        """Return how long until creates could take ``cost`` tokens; 0 if they are there. Takes nothing."""
        return self._bucket(shard, now_ns).wait_ns(cost, now_ns)

    @property
    def low_water(self) -> int:
        """Return the tokens that what is not urgent leaves in a bucket: a little above the warning."""
        return self._write.capacity * (LOW_PCT + 5) // 100

    def is_low(self, now_ns: int) -> bool:
        """Return whether any bucket is down to a fifth of its capacity."""
        return any(bucket.is_low(now_ns) for bucket in self._buckets.values())

    def record_rate_limit_hit(self, now_ns: int, shard: int | None = None) -> None:
        """Take a 429 into account: of one shard's bucket, or of all where it is not known."""
        for bucket in self._chosen(shard, now_ns):
            bucket.empty(now_ns)

    def record_success(self, shard: int | None = None) -> None:
        """Take an answer that was no 429 into account."""
        for bucket in self._chosen(shard, 0):
            bucket.recover()

    def _reserve(self, shard: int) -> int:
        return self._reserve_unscoped if shard <= UNSCOPED else self._reserve_shard

    def _chosen(self, shard: int | None, now_ns: int) -> Sequence[TokenBucket]:
        return list(self._buckets.values()) if shard is None else [self._bucket(shard, now_ns)]

    def _bucket(self, shard: int, now_ns: int) -> TokenBucket:
        key = max(shard, UNSCOPED)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._write, now_ns, self._reserve_shard)
        return bucket

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
3. Creates never touch the reserve: one group trigger in every bucket, and one
   full cancel batch in the unscoped one, which pays for all batches. Cancels
   may spend the batch; the triggers are the kill ladder's, which asks nobody:
   what it sends is charged afterwards, below zero if need be.
4. A rate-limit answer empties the mirror, halves its rate and keeps creates
   away for a while that doubles: whatever we believed was wrong, perhaps
   because somebody else spends from this account. Each success gives a little
   back.
5. The mirror holds a little less than the venue (`JITTER_MS`): a request that
   lingers on its way reaches a venue that was full meanwhile and gained nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from libs.common.kalshi.model import AccountLimits, Bucket, EndpointCosts
from libs.common.kalshi.token_bucket import BACKOFF_MAX_NS, LOW_PCT, TokenBucket

JITTER_MS: Final = 50
"""Requests that leave together may arrive so far apart and still be paid."""
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


UNKNOWN_LIMITS: Final = AccountLimits("unknown", Bucket(100, 200), Bucket(100, 200))
"""What is assumed while the venue does not tell: ten orders a second, twenty at once (B-025)."""
UNKNOWN_COSTS: Final = EndpointCosts(default=10)


def cost_of(costs: EndpointCosts, endpoint: tuple[str, str], items: int = 1) -> int:
    """Return the tokens of one call; batches are billed per item.

    Cancel-all is not in the list of every host; it is billed as one cancel
    (kalshi-api 5.2), so it takes that price where its own is missing.
    """
    default = costs.default
    if endpoint == CANCEL_ALL:
        default = costs.by_endpoint.get(CANCEL, default)
    return costs.by_endpoint.get(endpoint, default) * items


class TokenBuckets:
    """The write buckets of an account: the unscoped one and one for every shard above 0.

    Args:
        limits: From ``/account/limits``.
        costs: From ``/account/endpoint_costs``.
        now_ns: Monotonic; all buckets are empty now.
        shards: The shards that orders may go to.
        cancel_batch_items: Size of the cancel batch that the reserve must always pay.
        backoff_max_ns: Longest time that refusals keep creates away.
    """

    def __init__(
        self,
        limits: AccountLimits,
        costs: EndpointCosts,
        now_ns: int,
        *,
        shards: Iterable[int] = (UNSCOPED,),
        cancel_batch_items: int = 20,
        backoff_max_ns: int = BACKOFF_MAX_NS,
    ) -> None:
        self._cancel_items = cancel_batch_items
        self._backoff_max_ns = backoff_max_ns
        self._limits: AccountLimits
        self.costs: EndpointCosts
        self._mirror: Bucket
        self._trigger: int
        self._reserve_unscoped: int
        self._take(limits, costs)
        self._buckets: dict[int, TokenBucket] = {}
        for shard in (UNSCOPED, *shards):
            self._bucket(shard, now_ns)

    @property
    def limits(self) -> AccountLimits:
        """Return what the venue told."""
        return self._limits

    def change(self, limits: AccountLimits, costs: EndpointCosts, now_ns: int) -> bool:
        """Take what the venue tells now and return whether it is anything new.

        What is in the buckets stays: a read refills nothing.
        """
        if (limits.write, costs) == (self._limits.write, self.costs):
            self._limits = limits
            return False
        self._take(limits, costs)
        for shard, bucket in self._buckets.items():
            bucket.change(self._mirror, now_ns, self._reserve(shard), self._trigger)
        return True

    def acquire(self, cost: int, now_ns: int, shard: int = UNSCOPED, *, is_cancel: bool = False) -> int:
        """Take ``cost`` tokens and return 0, or take none and return the wait in nanoseconds.

        Args:
            cost: From `cost_of`.
            now_ns: Monotonic.
            shard: The ``exchange_index`` of a single-order write; a batch pays unscoped (0), always.
            is_cancel: Cancels may spend the reserve, but for the triggers'.

        Raises:
            ValueError: No wait would ever be long enough; see `spendable_max`.
        """
        return self._bucket(shard, now_ns).acquire(cost, now_ns, is_reserved=is_cancel)

    def charge(self, cost: int, now_ns: int, shard: int = UNSCOPED) -> None:
        """Take tokens for what was sent without asking: the kill ladder, a group."""
        self._bucket(shard, now_ns).charge(cost, now_ns)

    def tokens(self, now_ns: int, shard: int = UNSCOPED) -> int:
        """Return the whole tokens in a bucket, reserve included."""
        return self._bucket(shard, now_ns).tokens(now_ns)

    def spendable(self, now_ns: int, shard: int = UNSCOPED) -> int:
        """Return the tokens that creates may take now."""
        return self._bucket(shard, now_ns).spendable(now_ns)

    def spendable_max(self, shard: int = UNSCOPED) -> int:
        """Return the largest cost that creates can ever pay at once: the bound of a batch."""
        return max(0, self._mirror.capacity - self._reserve(shard))

    def wait_ns(self, cost: int, now_ns: int, shard: int = UNSCOPED) -> int:
        """Return how long until creates could take ``cost`` tokens; 0 if they are there. Takes nothing."""
        return self._bucket(shard, now_ns).wait_ns(cost, now_ns)

    @property
    def low_water(self) -> int:
        """Return the tokens that what is not urgent leaves in a bucket: a little above the warning."""
        return self._mirror.capacity * (LOW_PCT + 5) // 100

    def is_low(self, now_ns: int) -> bool:
        """Return whether any bucket is down to a fifth of its capacity."""
        return any(bucket.is_low(now_ns) for bucket in self._buckets.values())

    def low_shards(self, now_ns: int) -> list[int]:
        """Return the shards whose buckets are down to a fifth."""
        return [shard for shard, bucket in self._buckets.items() if bucket.is_low(now_ns)]

    def half_full(self, now_ns: int) -> set[int]:
        """Return the shards whose buckets hold half of what they can, or more."""
        full = self._mirror.capacity
        return {shard for shard, one in self._buckets.items() if one.tokens(now_ns) * 2 >= full}

    def record_rate_limit_hit(self, now_ns: int, shard: int | None = None) -> int:
        """Take a 429 into account: of one shard's bucket, or of all where it is not known.

        Returns:
            For how long creates stay away, in nanoseconds.
        """
        return max(bucket.empty(now_ns) for bucket in self._chosen(shard, now_ns))

    def record_success(self, shard: int | None = None) -> None:
        """Take an answer that was no 429 into account."""
        for bucket in self._chosen(shard, 0):
            bucket.recover()

    def consecutive_rate_limits(self, shard: int) -> int:
        """Return how many refusals of a shard's bucket came in a row."""
        return self._bucket(shard, 0).consecutive_rate_limits

    def gauges(self) -> dict[str, float]:
        """Return the limiter's fields by name (B-026), as they were at the last look at each bucket."""
        shown: dict[str, float] = {}
        for shard, bucket in sorted(self._buckets.items()):
            shown |= {
                f"budget_tokens_shard_{shard}": float(bucket.level),
                f"budget_last_refill_mono_ns_shard_{shard}": float(bucket.last_refill_ns),
                f"budget_backoff_until_mono_ns_shard_{shard}": float(bucket.backoff_until_ns),
                f"budget_consecutive_rate_limits_shard_{shard}": float(bucket.consecutive_rate_limits),
                f"budget_rate_shard_{shard}": float(bucket.rate),
            }
        return shown

    def _take(self, limits: AccountLimits, costs: EndpointCosts) -> None:
        self._limits, self.costs = limits, costs
        write = limits.write
        margin = min(write.refill_per_s * JITTER_MS // 1_000, write.capacity // 10)
        self._mirror = Bucket(write.refill_per_s, write.capacity - margin)
        trigger = cost_of(costs, GROUP_TRIGGER)
        batch = cost_of(costs, CANCEL_BATCH, self._cancel_items)
        # A small tier keeps half for creates; its cancels come in smaller batches.
        half = self._mirror.capacity // 2
        self._trigger = min(trigger, half)
        self._reserve_unscoped = min(trigger + batch, half)

    def _reserve(self, shard: int) -> int:
        return self._reserve_unscoped if shard <= UNSCOPED else self._trigger

    def _chosen(self, shard: int | None, now_ns: int) -> Sequence[TokenBucket]:
        return list(self._buckets.values()) if shard is None else [self._bucket(shard, now_ns)]

    def _bucket(self, shard: int, now_ns: int) -> TokenBucket:
        key = max(shard, UNSCOPED)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(
                self._mirror, now_ns, self._reserve(key), self._trigger, self._backoff_max_ns
            )
        return bucket

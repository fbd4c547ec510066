"""The venue's token buckets: who may ask how much, and what a request costs.

Every account has a read bucket, an unscoped write bucket, one write bucket a
shard from 1 up, and a bucket of its own for the balance (kalshi-api section 5).
A request passes if the bucket holds its whole cost at arrival; a batch is one
request. Writes that are routed by market bill the unscoped bucket and every
shard's, and need the cost in all of them.

Buckets count billionths of a token, so refill by the nanosecond is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

_NANO: Final = 1_000_000_000

COST_DEFAULT: Final = 10
COST_CANCEL: Final = 2
COST_GET_ORDER: Final = 2

ENDPOINT_COSTS: Final[tuple[tuple[str, str, int], ...]] = (
    ("POST", "/trade-api/v2/account/api_usage_level/upgrade", 30),
    ("DELETE", "/trade-api/v2/portfolio/events/orders", COST_CANCEL),
    ("DELETE", "/trade-api/v2/portfolio/events/orders/:order_id", COST_CANCEL),
    ("DELETE", "/trade-api/v2/portfolio/events/orders/batched", COST_CANCEL),
    ("GET", "/trade-api/v2/portfolio/orders/:order_id", COST_GET_ORDER),
)
"""What costs other than the default; what the public endpoint tells."""


@dataclass(frozen=True, slots=True)
class BucketTerms:
    """Refill and capacity of one bucket, in tokens."""

    refill_per_s: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Tier:
    """What an account of this tier may spend."""

    name: str
    read: BucketTerms
    write: BucketTerms
    balance_calls_per_s: int


TIERS: Final = {
    tier.name: tier
    for tier in (
        Tier("basic", BucketTerms(200, 600), BucketTerms(100, 100), 1),
        Tier("advanced", BucketTerms(300, 900), BucketTerms(300, 900), 1),
        Tier("expert", BucketTerms(600, 600), BucketTerms(600, 1800), 5),
        Tier("premier", BucketTerms(1200, 1200), BucketTerms(1200, 3600), 5),
        Tier("paragon", BucketTerms(2400, 2400), BucketTerms(2400, 7200), 5),
        Tier("prime", BucketTerms(4800, 4800), BucketTerms(4800, 14400), 5),
        Tier("prestige", BucketTerms(12000, 12000), BucketTerms(9600, 28800), 5),
    )
}


@dataclass(slots=True)
class TokenBucket:
    """One bucket, full at birth."""

    terms: BucketTerms
    updated_ns: int
    level_nano: int = -1

    def __post_init__(self) -> None:
        if self.level_nano < 0:
            self.level_nano = self.terms.capacity * _NANO

    def holds(self, cost: int, now_ns: int) -> bool:
        """Return whether the whole cost is there now."""
        elapsed_ns = now_ns - self.updated_ns
        if elapsed_ns > 0:
            self.level_nano = min(
                self.terms.capacity * _NANO, self.level_nano + elapsed_ns * self.terms.refill_per_s
            )
            self.updated_ns = now_ns
        return self.level_nano >= cost * _NANO

    def spend(self, cost: int) -> None:
        """Take the cost out; :meth:`holds` was asked before."""
        self.level_nano -= cost * _NANO


@dataclass(slots=True)
class AccountBudget:
    """All buckets of one account."""

    tier: Tier
    now_ns: int
    read: TokenBucket = field(init=False)
    write: TokenBucket = field(init=False)
    balance: TokenBucket = field(init=False)
    by_shard: dict[int, TokenBucket] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.read = TokenBucket(self.tier.read, self.now_ns)
        self.write = TokenBucket(self.tier.write, self.now_ns)
        self.balance = TokenBucket(BucketTerms(self.tier.balance_calls_per_s, 1), self.now_ns)

    def spend_read(self, cost: int, now_ns: int) -> bool:
        """Bill a read; False means 429."""
        return _spend([self.read], cost, now_ns)

    def spend_balance(self, now_ns: int) -> bool:
        """Bill a look at the balance."""
        return _spend([self.balance], 1, now_ns)

    def spend_write(self, cost: int, shard: int | None, shards: Iterable[int], now_ns: int) -> bool:
        """Bill a write to a shard, to the unscoped bucket (0), or, routed by market (None), to all of them.

        Args:
            cost: Tokens.
            shard: As the request names it; -1 counts as None.
            shards: Every shard of the exchange.
            now_ns: Unix time.
        """
        if shard is None or shard < 0:
            buckets = [self.write, *(self._of(one, now_ns) for one in shards if one > 0)]
        else:
            buckets = [self._of(shard, now_ns)]
        return _spend(buckets, cost, now_ns)

    def _of(self, shard: int, now_ns: int) -> TokenBucket:
        if shard == 0:
            return self.write
        found = self.by_shard.get(shard)
        if found is None:
            found = self.by_shard[shard] = TokenBucket(self.tier.write, now_ns)
        return found


def _spend(buckets: list[TokenBucket], cost: int, now_ns: int) -> bool:
    if not all([bucket.holds(cost, now_ns) for bucket in buckets]):  # noqa: C419 - every bucket refills
        return False
    for bucket in buckets:
        bucket.spend(cost)
    return True

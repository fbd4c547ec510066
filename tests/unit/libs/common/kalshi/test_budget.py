import pytest

from libs.common.kalshi import budget
from libs.common.kalshi.budget import TokenBuckets, cost_of
from libs.common.kalshi.model import AccountLimits, Bucket, EndpointCosts
from libs.common.kalshi.token_bucket import TokenBucket

S = 1_000_000_000
COSTS = EndpointCosts(default=10, by_endpoint={budget.CANCEL: 2, budget.CANCEL_BATCH: 2})
PREMIER = AccountLimits("premier", Bucket(1_200, 1_200), Bucket(1_200, 3_600))
BASIC = AccountLimits("basic", Bucket(200, 600), Bucket(100, 100))


def buckets(limits: AccountLimits = PREMIER, **more: int) -> TokenBuckets:
    return TokenBuckets(limits, COSTS, 0, shards=(0, 2), **more)


def test_costs_come_from_the_list_by_path_template_and_per_item() -> None:
    assert cost_of(COSTS, budget.CREATE) == 10
    assert cost_of(COSTS, budget.CREATE_BATCH, 25) == 250
    assert cost_of(COSTS, budget.CANCEL_BATCH, 25) == 50
    assert cost_of(COSTS, budget.CANCEL_ALL) == 2
    assert cost_of(COSTS, budget.GROUP_TRIGGER) == 10


def test_a_bucket_starts_empty_and_says_how_long_to_wait() -> None:
    bucket = TokenBucket(Bucket(100, 100), 0)

    wait_ns = bucket.acquire(10, 0)

    assert wait_ns == S // 10
    assert bucket.acquire(10, wait_ns - 1) > 0
    assert bucket.acquire(10, wait_ns) == 0
    assert bucket.tokens(wait_ns) == 0


def test_a_bucket_holds_no_more_than_its_capacity() -> None:
    bucket = TokenBucket(Bucket(100, 300), 0)

    assert bucket.tokens(3_600 * S) == 300


def test_a_cost_that_no_wait_can_pay_is_an_error_and_not_an_endless_wait() -> None:
    bucket = TokenBucket(Bucket(100, 100), 0, reserve=50)

    with pytest.raises(ValueError, match="at most 50"):
        bucket.acquire(51, 0)
    assert bucket.acquire(51, S, is_reserved=True) == 0


def test_creates_leave_the_reserve_alone_and_cancels_leave_the_triggers() -> None:
    writes = buckets()
    full_ns = 10 * S
    assert writes.spendable_max(0) == 3_540 - 10 - 40
    assert writes.spendable_max(2) == 3_540 - 10

    assert writes.acquire(writes.spendable_max(0), full_ns, 0) == 0

    assert writes.spendable(full_ns) == 0
    assert writes.acquire(10, full_ns, 0) > 0
    assert writes.acquire(40, full_ns, 0, is_cancel=True) == 0
    assert writes.acquire(2, full_ns, 0, is_cancel=True) > 0
    assert writes.tokens(full_ns, 0) == 10


def test_what_is_sent_without_asking_is_owed_and_paid_back_first() -> None:
    writes = buckets()
    writes.charge(60, 0, 2)

    assert writes.tokens(S // 20, 2) == 0
    assert writes.tokens(S // 10, 2) == 60
    assert writes.wait_ns(10, S // 10, 2) == 0
    writes.charge(60, S // 10, 2)
    assert writes.wait_ns(10, S // 10, 2) == 20 * S // 1_200 + 1


def test_shards_have_buckets_of_their_own() -> None:
    writes = buckets()

    assert writes.acquire(3_000, 10 * S, 2) == 0
    assert writes.tokens(10 * S, 2) == 540
    assert writes.tokens(10 * S, 0) == 3_540
    assert writes.tokens(10 * S, 7) == 0


def test_the_mirror_holds_what_requests_that_lie_50_ms_apart_can_count_on() -> None:
    assert buckets().tokens(10 * S) == 3_600 - 60
    assert buckets(BASIC).tokens(10 * S) == 95


def test_a_small_tier_keeps_half_for_creates() -> None:
    assert buckets(BASIC).spendable_max(0) == 48
    assert buckets(BASIC, cancel_batch_items=10).spendable_max(0) == 65


def test_a_rate_limit_answer_empties_the_mirror_halves_the_rate_and_successes_give_it_back() -> None:
    writes = buckets()
    writes.record_rate_limit_hit(10 * S, 2)

    assert writes.tokens(10 * S, 2) == 0
    assert writes.tokens(11 * S, 2) == 600
    assert writes.tokens(11 * S, 0) == 3_540
    for _ in range(10):
        writes.record_success(2)
    assert writes.tokens(12 * S, 2) == 1_800

    for _ in range(20):
        writes.record_rate_limit_hit(12 * S)
    assert writes.tokens(13 * S, 2) > 0


def test_refusals_in_a_row_keep_creates_away_for_longer_and_cancels_never() -> None:
    writes = buckets()
    now_ns = 10 * S
    first_ns = writes.record_rate_limit_hit(now_ns, 0)
    second_ns = writes.record_rate_limit_hit(now_ns, 0)

    assert 0.1 * S <= first_ns <= 0.125 * S
    assert 0.2 * S <= second_ns <= 0.25 * S
    assert writes.acquire(10, now_ns, 0) >= second_ns
    assert writes.spendable(now_ns + second_ns - 1) == 0
    assert writes.acquire(2, now_ns + 50_000_000, 0, is_cancel=True) == 0
    for _ in range(20):
        longest_ns = writes.record_rate_limit_hit(now_ns, 0)
    assert longest_ns == 30 * S
    assert writes.gauges()["budget_consecutive_rate_limits_shard_0"] == 22

    writes.record_success(0)
    assert writes.gauges()["budget_consecutive_rate_limits_shard_0"] == 0
    assert writes.gauges()["budget_backoff_until_mono_ns_shard_0"] == 0


def test_other_limits_change_rate_and_size_and_refill_nothing() -> None:
    writes = buckets(BASIC)
    assert writes.acquire(40, S, 0) == 0
    assert not writes.change(BASIC, COSTS, S)

    assert writes.change(PREMIER, COSTS, S)
    assert writes.tokens(S, 0) == 55
    assert writes.tokens(2 * S, 0) == 1_255
    assert writes.change(BASIC, COSTS, 2 * S)
    assert writes.tokens(2 * S, 0) == 95


def test_a_fifth_left_is_the_early_warning() -> None:
    writes = TokenBuckets(PREMIER, COSTS, 0)
    assert writes.is_low(0)
    assert writes.is_low(590_000_000)
    assert not writes.is_low(591_000_000)
    assert writes.low_shards(591_000_000) == []


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(Bucket(100, 100), 5 * S)

    assert bucket.tokens(0) == 0
    assert bucket.tokens(5 * S) == 0
    assert bucket.tokens(6 * S) == 100

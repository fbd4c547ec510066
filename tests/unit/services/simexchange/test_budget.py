"""Token buckets of tiers and shards (kalshi-api section 5)."""

from __future__ import annotations

import pytest

from services.simexchange.core.budget import TIERS, AccountBudget

NOW_NS = 1_800_000_000_000_000_000
MS = 1_000_000
SHARDS = (0, 1, 2)


@pytest.fixture
def budget() -> AccountBudget:
    return AccountBudget(TIERS["basic"], NOW_NS)


def test_a_request_passes_only_if_its_whole_cost_is_there(budget: AccountBudget) -> None:
    assert budget.spend_write(95, 0, (), NOW_NS)
    assert not budget.spend_write(10, 0, (), NOW_NS)
    assert budget.spend_write(5, 0, (), NOW_NS)


def test_a_batch_that_does_not_fit_as_a_whole_takes_nothing(budget: AccountBudget) -> None:
    assert not budget.spend_write(110, 0, (), NOW_NS)
    assert budget.spend_write(100, 0, (), NOW_NS)


def test_tokens_come_back_continuously_up_to_the_capacity(budget: AccountBudget) -> None:
    assert budget.spend_write(100, 0, (), NOW_NS)
    assert not budget.spend_write(10, 0, (), NOW_NS + 99 * MS)
    assert budget.spend_write(10, 0, (), NOW_NS + 100 * MS)
    assert not budget.spend_write(101, 0, (), NOW_NS + 10_000 * MS)


def test_each_shard_has_the_whole_tiers_budget_of_its_own(budget: AccountBudget) -> None:
    assert all(budget.spend_write(100, shard, (), NOW_NS) for shard in SHARDS)
    assert not budget.spend_write(1, 2, (), NOW_NS)


def test_routing_by_market_bills_every_bucket_and_needs_every_bucket(budget: AccountBudget) -> None:
    assert budget.spend_write(60, None, SHARDS, NOW_NS)
    assert budget.spend_write(40, 1, (), NOW_NS)
    assert not budget.spend_write(10, -1, SHARDS, NOW_NS)
    assert budget.spend_write(40, 0, (), NOW_NS)


def test_reads_and_writes_do_not_touch_one_another(budget: AccountBudget) -> None:
    assert budget.spend_write(100, 0, (), NOW_NS)
    assert budget.spend_read(600, NOW_NS)
    assert not budget.spend_read(10, NOW_NS)


def test_the_balance_has_a_bucket_without_burst(budget: AccountBudget) -> None:
    assert budget.spend_balance(NOW_NS)
    assert not budget.spend_balance(NOW_NS + 999 * MS)
    assert budget.spend_balance(NOW_NS + 1000 * MS)


def test_a_clock_that_steps_back_gives_nothing(budget: AccountBudget) -> None:
    assert budget.spend_write(100, 0, (), NOW_NS)
    assert not budget.spend_write(10, 0, (), NOW_NS - 1000 * MS)
    assert not budget.spend_write(10, 0, (), NOW_NS + 50 * MS)

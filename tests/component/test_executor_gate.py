"""The gate with a real venue's cash and a real control stream: what the venue would refuse never leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from libs.common.bus.api import Bus
from libs.common.domain.side import Side
from libs.common.messages.base import encode
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.executor_builders import LIMITS, a_quote
from tests.support.executor_world import ACCOUNT, Executor, World, executor_world
from tests.support.resumes import a_limit, a_raise

BID, ASK = a_quote(Side.BID, 6_000, 500), a_quote(Side.ASK, 6_300, 500)


@pytest.fixture
async def world(streams_url: str, connect: Connect, tmp_path: Path) -> AsyncIterator[World]:
    async with executor_world(streams_url, connect, tmp_path) as made:
        await made.resume()
        yield made


def held(executor: Executor, rule: str) -> bool:
    """Return whether the rule refused something within the second."""
    return any(key[2] == rule for key in executor.engine.account.recent_audits)


async def test_cash_that_leaves_the_shard_is_missed_before_the_venue_has_to_refuse(world: World) -> None:
    executor = await world.start(
        limits=msgspec.structs.replace(LIMITS, market_balance_share_e4_max=100_000_000)
    )
    cash = executor.engine.account.desk.cash
    await eventually(lambda: cash.free_e6(world.shard, 0) is not None)
    cash_e6 = cash.free_e6(world.shard, 0)
    assert cash_e6 is not None
    # Five dollars are left: enough for the bid of 3.00 and the ask of 1.85, for nothing more.
    out = f"-{(cash_e6 - 5_000_000) / 1_000_000:.6f}"
    switch = {"action": "deposit", "account": ACCOUNT, "amount": out, "shards": [world.shard]}
    await world.exchange.sim("switch", switch)
    await eventually(lambda: cash.free_e6(world.shard, 0) == 5_000_000)
    await world.target(BID, ASK)
    await world.until_resting(2)

    await world.target(BID, ASK, a_quote(Side.BID, 5_900, 500))
    await eventually(lambda: held(executor, "shard_balance"))

    await world.take(Side.ASK, "0.6000", "5.00")
    await eventually(lambda: executor.engine.account.positions.qty_e2(world.market) == 500)
    # The ask now closes the position, so its cash is free again, though less than a new bid costs.
    free_e6 = cash.free_e6(world.shard, 0)
    assert free_e6 is not None
    assert free_e6 <= 2_000_000
    assert executor.counter("refused") == 0, "the venue had nothing to refuse"
    assert await world.orders_ever() == 2


async def limit(bus: Bus, world: World, name: str, value: int) -> None:
    body = a_limit(name, value)
    subject = world.subjects.of("ctl.limit", ACCOUNT)
    await bus.append(subject, encode(body), msg_id=f"{name}-{value}")


async def test_limit_on_the_control_stream_holds_at_once_and_after_a_restart(
    world: World, connect: Connect
) -> None:
    bus = await connect("riskguard")
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)

    await limit(bus, world, "order_qty_e2_max", 499)
    await world.until_resting(0)
    await eventually(lambda: held(executor, "max_order_qty"))
    await limit(bus, world, "order_qty_e2_max", 500)
    await limit(bus, world, "order_notional_e6_max", 99_000_000)
    await eventually(lambda: executor.engine.quoter.approver.limits.order_notional_e6_max == 99_000_000)
    left = msgspec.structs.replace(LIMITS, order_qty_e2_max=499, order_notional_e6_max=99_000_000)
    assert executor.engine.quoter.approver.limits == left, "nothing is raised without two steps"
    await executor.stop()

    again = await world.start()
    assert again.engine.quoter.approver.limits == left
    raised = a_raise("order_qty_e2_max", 100_000_000, after=again.engine.limits.newest)
    await bus.append(world.subjects.of("ctl.limit", ACCOUNT), encode(raised), msg_id="raise")
    await world.target(BID, ASK)
    await world.until_resting(2)
    cap = LIMITS.order_qty_e2_max
    assert again.engine.quoter.approver.limits.order_qty_e2_max == cap, "live, and within the configuration"

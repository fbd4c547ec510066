"""Replacing a quote through a real bus and the real simulated venue: cancel and create in one batch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.bus.api import BusUnavailable
from libs.common.domain.side import Side
from libs.common.kalshi.budget import UNKNOWN_LIMITS
from services.executor.config import Planning
from services.executor.core.planner import ReplaceWith
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.executor_builders import a_quote
from tests.support.executor_world import Executor, World, executor_world

REPLACING = Planning(
    hysteresis_ticks=0, intent_age_ms_max=2_000, replace_with=ReplaceWith.CANCEL_CREATE, place_value_e4=0
)
BID, ASK = a_quote(Side.BID, 5_800, 500), a_quote(Side.ASK, 6_300, 500)


@pytest.fixture
async def world(streams_url: str, connect: Connect, tmp_path: Path) -> AsyncIterator[World]:
    async with executor_world(streams_url, connect, tmp_path) as made:
        await made.resume()
        yield made


def rests(executor: Executor) -> set[tuple[Side, int]]:
    return {
        (order.side, order.price_e4)
        for order in executor.engine.account.orders.live()
        if order.order_id and not order.is_in_flight
    }


async def test_two_moved_quotes_travel_as_one_cancel_and_one_create_request(world: World) -> None:
    executor = await world.start(planning=REPLACING)
    await world.target(BID, ASK)
    await world.until_resting(2)
    calls = executor.counter("http_calls")

    await world.target(a_quote(Side.BID, 5_700, 500), a_quote(Side.ASK, 6_400, 500))

    await eventually(lambda: rests(executor) == {(Side.BID, 5_700), (Side.ASK, 6_400)})
    assert executor.counter("http_calls") - calls == 2
    assert await world.orders_ever() == 4
    assert executor.counter("orders_amended") == 0


@pytest.mark.parametrize("fault", ["error_before", "drop_response", "garbled", "rate_limit"])
async def test_create_behind_a_cancel_that_is_not_confirmed_never_leaves(world: World, fault: str) -> None:
    """The market settles by evidence, and never has two orders where one was wanted."""
    executor = await world.start(planning=REPLACING)
    await world.target(BID)
    await world.until_resting(1)
    rule = {"kind": fault, "match": "DELETE /portfolio/events/orders/batched", "count": 1}
    await world.exchange.sim("faults", rule)

    await world.target(a_quote(Side.BID, 5_700, 500))

    await eventually(lambda: rests(executor) == {(Side.BID, 5_700)}, 10)
    unsent = [order.reason for order in executor.engine.account.orders.all() if not order.order_id]
    assert unsent == ["unsent: cancel_not_confirmed"]
    assert len(await world.resting()) == 1
    assert await world.orders_ever() == 2


async def test_cancels_leave_although_the_journal_takes_no_intent(world: World) -> None:
    executor = await world.start(planning=REPLACING)
    await world.target(BID)
    await world.until_resting(1)
    executor.engine.epoch.token += 1  # as if another leader held the epoch: the append is refused

    await world.target(a_quote(Side.BID, 5_700, 500))

    await world.until_resting(0)
    assert await world.orders_ever() == 1
    with pytest.raises(BaseExceptionGroup):
        await executor.task


async def ask_mode(world: World, body: dict[str, Any]) -> dict[str, Any]:
    answer = await world.bus.request(
        world.subjects.of("svc", "executor", "execution_mode"), msgspec.json.encode(body)
    )
    said: dict[str, Any] = msgspec.json.decode(answer.data)
    return said


async def is_mode(world: World, mode: str) -> bool:
    try:
        return bool((await ask_mode(world, {}))["execution_mode"] == mode)
    except BusUnavailable:
        return False  # the server has not seen the subscription yet


async def test_execution_mode_is_switched_while_running_and_both_modes_quote(world: World) -> None:
    executor = await world.start()
    await executor.bus.serve("executor", executor.app.endpoints, {})
    await eventually(lambda: is_mode(world, "batch"))
    assert (await ask_mode(world, {"mode": "both"}))["error"]
    assert (await ask_mode(world, {"mode": "single", "by": "test"}))["execution_mode"] == "single"
    assert executor.gauge("is_batch_mode") == 0
    calls = executor.counter("http_calls")
    await world.target(BID, ASK)
    await world.until_resting(2)
    assert executor.counter("http_calls") - calls == 2, "one call each"

    await ask_mode(world, {"mode": "batch"})
    await world.target()
    await world.until_resting(0)
    calls = executor.counter("http_calls")
    await world.target(BID, ASK)
    await world.until_resting(2)
    assert executor.counter("http_calls") - calls == 1, "one call for both"


async def test_limits_are_read_again_and_refill_nothing(world: World) -> None:
    executor = await world.start()
    limits, buckets = executor.app._limits, executor.engine.quoter.buckets
    known = buckets.limits
    now_ns = executor.app._now().ns
    buckets.change(UNKNOWN_LIMITS, buckets.costs, now_ns)
    assert buckets.tokens(now_ns) <= 200

    await limits.look()

    assert buckets.limits.write == known.write
    assert executor.gauge("budget_rate_shard_0") == known.write.refill_per_s
    assert executor.gauge("budget_tokens_shard_0") < known.write.capacity


async def test_venues_word_about_the_queue_is_taken(world: World) -> None:
    executor = await world.start(planning=Planning(hysteresis_ticks=0, queue_read_s=0.1))
    await world.target(BID)
    await world.until_resting(1)
    (order,) = executor.engine.account.orders.live()
    told = await executor.app._queue_polls._reader.queue_positions([world.market])
    await eventually(lambda: executor.engine.account.places.of([order]).values())
    assert list(executor.engine.account.places.of([order]).values()) == [told[order.order_id]]

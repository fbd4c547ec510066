"""The executor falls silent with orders on every shard in use: the riskguard's lane takes them out in time.

All services are processes that nobody restarts. Times are the venue's own clock, from the last
moment at which the executor could act to the moment from which nothing of ours rests. Three
seconds of silence and one to act, whatever the venue answers at first.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from libs.common.domain.ids import OrderIdentity
from tests.support.kill_world import NATS, KillWorld, kill_world

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

BOUND_S: Final = 3.0 + 1.0
TRIGGERS: Final = "PUT /portfolio/order_groups"
CANCELS: Final = "DELETE /portfolio/events/orders"
_ALLOWED: Final = re.compile(
    r"GET .*"
    r"|PUT /portfolio/order_groups/\{\}/trigger"
    r"|DELETE /portfolio/events/orders(/batched|/\{\})?"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KillWorld]:
    """Yield a world that quotes."""
    async with kill_world(tmp_path_factory.mktemp("lane")) as it:
        yield it


async def silence_s(world: KillWorld) -> float:
    """Kill the executor and return how long its orders rested."""
    since_ns = await world.now_ns()
    world.kill({"executor"})
    return await world.empty_after_s(since_ns, BOUND_S + 20)


async def acts_of_guard(world: KillWorld) -> int:
    """Return how many triggers and cancels the riskguard has sent so far."""
    asked = await world.asked_by("riskguard")
    return sum(count for (method, _), count in asked.items() if method != "GET")


async def test_a_killed_executor_leaves_nothing_behind(world: KillWorld) -> None:
    await world.until_quoting()

    assert await silence_s(world) <= BOUND_S


async def test_a_frozen_executor_leaves_nothing_behind_and_trades_again_when_it_wakes(
    world: KillWorld,
) -> None:
    await world.until_quoting()
    executor = world.services["executor"]
    since_ns = await world.now_ns()
    executor.freeze()

    took_s = await world.empty_after_s(since_ns, BOUND_S + 20)
    executor.thaw()

    assert took_s <= BOUND_S
    # Its groups are dead: it must notice, and begin a new epoch or end.
    await world.until_quoting()


@pytest.mark.parametrize("kind", ["rate_limit", "error_before", "drop_request", "error_after"])
async def test_a_venue_that_refuses_at_first_only_delays_it(world: KillWorld, kind: str) -> None:
    await world.until_quoting()
    await world.sim("faults", {"kind": kind, "match": TRIGGERS, "count": 3})
    await world.sim("faults", {"kind": kind, "match": CANCELS, "count": 1})
    try:
        assert await silence_s(world) <= BOUND_S
    finally:
        await world.clear_faults()


async def test_triggers_that_the_venue_leaves_hanging_do_not_hold_up_cancel_all(world: KillWorld) -> None:
    await world.until_quoting()
    await world.sim("faults", {"kind": "delay_before", "match": TRIGGERS, "count": 1_000, "seconds": 8.0})
    try:
        assert await silence_s(world) <= BOUND_S
    finally:
        await world.clear_faults()


async def test_a_dead_bus_is_a_silent_executor(world: KillWorld) -> None:
    """The executor stands still, so that it is not itself that withdraws: the guard hears nobody."""
    await world.until_quoting()
    before = (await world.asked_by("riskguard")).get(("PUT", "/portfolio/order_groups/{}/trigger"), 0)
    executor = world.services["executor"]
    since_ns = await world.now_ns()
    executor.freeze()
    world.kill({NATS})

    took_s = await world.empty_after_s(since_ns, BOUND_S + 20)
    executor.kill()

    assert took_s <= BOUND_S
    after = (await world.asked_by("riskguard")).get(("PUT", "/portfolio/order_groups/{}/trigger"), 0)
    assert after > before, "the guard's own key triggered"


async def test_a_bus_that_dies_while_the_venue_is_ill_is_waited_for_until_the_venue_is_well(
    world: KillWorld,
) -> None:
    """A guard that ends because it is deaf first finishes what it began: nobody would start it again."""
    await world.until_quoting()
    for match in (TRIGGERS, CANCELS):
        await world.sim("faults", {"kind": "error_before", "match": match, "count": 1_000})
    since_ns = await world.now_ns()
    world.services["executor"].kill()
    world.kill({NATS})
    await asyncio.sleep(6.5)  # longer than a deaf process lives
    await world.clear_faults()

    assert await world.empty_after_s(since_ns, 20) <= 6.5 + 1.5


@pytest.mark.parametrize("after_s", [2.5, 3.0, 3.3])
async def test_an_executor_that_comes_back_in_the_middle_finds_the_venue_clean_and_trades(
    world: KillWorld, after_s: float
) -> None:
    await world.until_quoting()
    old = {order["order_id"] for order in await world.resting()}
    world.services["executor"].kill()
    await asyncio.sleep(after_s)
    world.services["executor"].start()

    await world.until_quoting()

    assert old.isdisjoint(order["order_id"] for order in await world.resting())
    # The lane does not go on, and what it did does not eat what the successor sends.
    acts = await acts_of_guard(world)
    await asyncio.sleep(2.0)
    assert await acts_of_guard(world) == acts
    await world.until_quoting()


@pytest.mark.parametrize("for_s", [2.8, 3.2])
async def test_an_executor_that_stood_still_about_as_long_as_the_lane_waits_trades_again(
    world: KillWorld, for_s: float
) -> None:
    await world.until_quoting()
    executor = world.services["executor"]
    executor.freeze()
    await asyncio.sleep(for_s)
    executor.thaw()
    await asyncio.sleep(1.0)

    await world.until_quoting()


async def test_an_order_in_no_group_is_cancelled_by_name(world: KillWorld) -> None:
    await world.until_quoting()
    order = (await world.resting())[0]
    since_ns = await world.now_ns()
    world.kill({"executor"})
    loose = {
        "account": "main",
        "ticker": order["ticker"],
        "side": "bid",
        "count": "1.00",
        "price": "0.0100",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "client_order_id": OrderIdentity("sim", 1, 900_000, 1, "0badcafe").text(),
    }
    await world.sim("orders", loose)

    assert await world.empty_after_s(since_ns, BOUND_S + 20) <= BOUND_S
    assert ("DELETE", "/portfolio/events/orders/batched") in await world.asked_by("riskguard")


async def test_the_guards_key_only_ever_read_triggered_and_cancelled(world: KillWorld) -> None:
    """Every request of this whole run, the lane's included, as the venue recorded it."""
    asked = await world.asked_by("riskguard")
    words = {f"{method} {path}" for method, path in asked}

    assert {word for word in words if not _ALLOWED.fullmatch(word)} == set()
    assert any(word.startswith("GET ") for word in words)
    assert "PUT /portfolio/order_groups/{}/trigger" in words
    assert "DELETE /portfolio/events/orders/batched" in words

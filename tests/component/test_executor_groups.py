"""The fuse at the venue blows: the executor leads a new epoch with new groups and resets none."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.bus.api import Message
from libs.common.bus.nats import NatsBus
from libs.common.domain.side import Side
from libs.common.subjects import Stream
from services.executor.config import Groups
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.executor_builders import a_quote
from tests.support.executor_world import ACCOUNT, World, executor_world
from tools.check_house import resets

BID, ASK = a_quote(Side.BID, 6_000, 500), a_quote(Side.ASK, 6_300, 500)


@pytest.fixture
async def world(streams_url: str, connect: Connect, tmp_path: Path) -> AsyncIterator[World]:
    async with executor_world(streams_url, connect, tmp_path) as made:
        yield made


async def groups(world: World) -> dict[str, dict[str, Any]]:
    """Return the account's groups by the venue's own books."""
    truth = await world.exchange.sim("truth?account=main")
    return {group["id"]: group for group in truth["accounts"][ACCOUNT]["groups"]}


async def test_limit_of_a_group_withdraws_everything_and_a_new_epoch_quotes_again(world: World) -> None:
    await world.resume()
    # Four contracts within 15 s and no more; the bid is for five, so one fill of it overshoots.
    executor = await world.start(groups=Groups(limit_e2=400, rest_s=0.2))
    await world.target(BID, ASK)
    await world.until_resting(2)
    (first,) = await groups(world)

    await world.take(Side.ASK, "0.6000", "5.00")

    await eventually(lambda: executor.gauge("epoch") == 2, 10)
    await world.until_state(executor, "running")
    await world.target(a_quote(Side.BID, 6_000, 300), ASK)
    await world.until_resting(2)
    after = await groups(world)
    assert after[first]["is_triggered"]
    assert len(after) == 2, "a new group for the new epoch"
    assert not after[next(name for name in after if name != first)]["is_triggered"]
    assert [group["resets"] for group in after.values()] == [0, 0]
    assert {order["order_group_id"] for order in await world.resting()} == after.keys() - {first}


async def test_nothing_of_ours_resets_a_group_through_halt_resume_crash_and_takeover(world: World) -> None:
    await world.resume()
    first = await world.start(state="a")
    await world.target(BID, ASK)
    await world.until_resting(2)
    await world.halt(b"stop")
    await world.until_resting(0)
    await world.resume()
    await eventually(lambda: first.gauge("epoch") == 2, 10)
    await world.until_state(first, "running")
    await world.target(BID, ASK)
    await world.until_resting(2)
    await first.crash()
    await world.start(state="b")
    await world.target(BID, ASK)
    await world.until_resting(2)

    after = await groups(world)
    assert len(after) == 3, "one of each epoch that quoted"
    assert [group["resets"] for group in after.values()] == [0, 0, 0]
    assert [group["is_triggered"] for group in after.values()] == [True, True, False]


@pytest.mark.parametrize(
    "line",
    [
        'path = line.path("portfolio", "order_groups", group, "reset")',
        'path = f"/portfolio/order_groups/{group}/reset"',
        "await canceller.reset_group(group)",
    ],
)
def test_a_way_to_reset_a_group_is_found_by_the_house_rules(tmp_path: Path, line: str) -> None:
    (tmp_path / "some.py").write_text(f"async def some():\n    {line}\n", encoding="utf-8")
    assert resets(tmp_path / "some.py")


async def test_old_orders_are_gone_before_a_long_journal_has_been_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading 200,000 records takes tens of seconds: what rests does not wait for that."""
    await world.resume()
    first = await world.start(state="a")
    await world.target(BID, ASK)
    await world.until_resting(2)
    await first.crash()
    may_read, read_all = asyncio.Event(), NatsBus.read_all

    async def slowly(bus: NatsBus, stream: Stream, *, from_sequence: int = 1) -> AsyncIterator[Message]:
        await may_read.wait()
        async for message in read_all(bus, stream, from_sequence=from_sequence):
            yield message

    monkeypatch.setattr(NatsBus, "read_all", slowly)

    second = await world.start(state="b", wait=False)

    await world.until_resting(0, timeout_s=10)
    (group,) = (await groups(world)).values()
    assert group["is_triggered"]
    assert second.app.status().state != "running"
    may_read.set()
    await world.until_state(second, "running")
    assert (second.counter("orphans"), second.counter("duplicates")) == (0, 0)


async def test_no_group_is_made_while_a_blown_fuse_rests(world: World) -> None:
    await world.resume()
    executor = await world.start(groups=Groups(limit_e2=400, rest_s=2.0))
    await world.target(BID, ASK)
    await world.until_resting(2)
    began_s = time.monotonic()
    await world.take(Side.ASK, "0.6000", "5.00")
    await eventually(lambda: executor.gauge("epoch") == 2, 10)
    await world.until_state(executor, "running")
    await world.target(a_quote(Side.BID, 6_000, 300), ASK)

    await eventually(lambda: 0 in executor.engine.account.groups_asked)
    assert len(await groups(world)) == 1, "asked for, and not made"
    assert executor.counter("held_no_order_group") > 0
    await world.until_resting(2, timeout_s=10)
    assert time.monotonic() - began_s >= 2.0


@pytest.mark.parametrize("dies_after", [None, 2, 5])
async def test_a_burst_costs_the_real_executor_at_most_its_budget(
    world: World, dies_after: int | None
) -> None:
    """An informed taker hits every bid at once, again and again; a dead executor changes nothing."""
    await world.resume()
    adverse_e4, sweep_e2 = 300, 10_000
    budget_e6 = adverse_e4 * (sweep_e2 + 2_500)
    terms = Groups(loss_budget_e6=budget_e6, adverse_move_e4=adverse_e4, sweep_e2=sweep_e2, rest_s=15.0)
    executor = await world.start(groups=terms)
    for number in range(8):
        if number == dies_after:
            await executor.crash()
        await world.target(a_quote(Side.BID, 6_000, 500))
        with contextlib.suppress(AssertionError):
            # Whatever the executor puts there again is taken; nothing comes once the fuse has blown.
            await world.until_resting(1, timeout_s=1.0)
        if await world.resting():
            await world.exchange.order(
                world.market,
                "ask",
                "0.6000",
                "5.00",
                key="outsider",
                time_in_force="immediate_or_cancel",
            )
    truth = await world.exchange.sim("truth?account=main")
    taken_e2 = truth["accounts"][ACCOUNT]["positions"][world.market]["qty_e2"]
    assert 0 < taken_e2 * adverse_e4 <= budget_e6
    if dies_after is None:
        (group,) = (await groups(world)).values()
        assert group["is_triggered"]
        assert taken_e2 > terms.limit_of(0), "the burst met the fuse, not its own end"

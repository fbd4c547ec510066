"""Halts of every reach against a real bus and the real simulated exchange, verified by its listing."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from libs.common.domain.side import Side
from libs.common.messages.base import encode
from libs.common.messages.control import GateState, HaltV1, ScopeKind
from services.executor.core.requests import CancelRequest
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.executor_builders import a_quote
from tests.support.executor_world import Executor, World, executor_world

BID, ASK = a_quote(Side.BID, 6_000, 500), a_quote(Side.ASK, 6_300, 500)
LAG_S = 0.1


@pytest.fixture
async def world(streams_url: str, connect: Connect, tmp_path: Path) -> AsyncIterator[World]:
    async with executor_world(streams_url, connect, tmp_path, read_lag_s=LAG_S) as made:
        await made.resume()
        yield made


def a_halt(scope: ScopeKind, key: str, level: GateState = GateState.HALTED) -> bytes:
    return encode(HaltV1(reason="test", scope=scope, scope_key=key, level=level))


async def verified(executor: Executor, scope: str, within_s: float = 5) -> None:
    """Wait for a ladder of this scope whose listings came back empty."""

    def is_so() -> bool:
        ladder = executor.app._killer.last
        return ladder is not None and ladder.reach.name == scope and ladder.is_verified

    await eventually(is_so, within_s, what=f"a verified halt of {scope}")


@pytest.mark.parametrize(
    ("scope", "key", "other"),
    [
        (ScopeKind.SHARD, "0", "2"),
        (ScopeKind.SERIES, "E", "F"),
        (ScopeKind.EVENT, "E-1", "E-2"),
        (ScopeKind.MARKET, "SIMRAIN-26A-T1", "SIMRAIN-26B-T1"),
        (ScopeKind.STRATEGY, "test", "another"),
    ],
)
async def test_narrow_halt_withdraws_what_it_reaches_and_a_resume_brings_it_back_in_the_same_epoch(
    world: World, scope: ScopeKind, key: str, other: str
) -> None:
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)
    groups = {order["order_group_id"] for order in await world.resting()}

    await world.halt(a_halt(scope, other))
    await verified(executor, f"{scope.value}:{other}")
    assert len(await world.resting()) == 2, "what another halt reaches is not ours to lose"

    await world.halt(a_halt(scope, key))
    await world.until_resting(0)
    await verified(executor, f"{scope.value}:{key}")
    assert executor.app.status().state == "running", "the account runs"
    await world.target(BID, ASK)
    await asyncio.sleep(0.3)
    assert await world.resting() == []

    await world.resume()
    await eventually(lambda: not executor.engine.halting.scoped)
    await world.target(BID, ASK)
    await world.until_resting(2)
    assert executor.gauge("epoch") == 1
    again = {order["order_group_id"] for order in await world.resting()}
    assert (again == groups) is (scope is not ScopeKind.SHARD), "a shard's halt kills its group for ever"
    assert (executor.counter("orphans"), executor.counter("duplicates")) == (0, 0)


async def test_reduce_only_leaves_what_shrinks_the_position_and_takes_the_rest(world: World) -> None:
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)
    await world.take(Side.ASK, "0.6000", "5.00")
    await eventually(lambda: executor.engine.account.positions.qty_e2(world.market) == 500)
    await world.target(BID, ASK)
    await world.until_resting(2)

    await world.halt(a_halt(ScopeKind.ACCOUNT, "", GateState.REDUCE_ONLY))
    await world.until_resting(1)
    await verified(executor, "account")
    (left,) = await world.resting()
    assert left["book_side"] == "ask"
    assert executor.app.status().state == "reduce_only"
    assert executor.engine.account.gate.exit_reasons(time.monotonic_ns(), 0) == []
    await world.target(BID, ASK)
    await asyncio.sleep(0.3)
    assert len(await world.resting()) == 1

    # Stronger: now everything goes, whatever it would do to the position.
    await world.halt(b"all of it")
    await world.until_resting(0)
    await eventually(lambda: executor.app.status().state == "halted")


async def test_sick_shard_keeps_its_halt_unverified_until_it_heals(world: World) -> None:
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)
    await world.exchange.sim("sick", {"shards": [0]})

    await world.halt()
    await eventually(lambda: executor.app._killer.unverified == {"account": [0]})
    await asyncio.sleep(0.5)
    assert executor.gauge("halt_verified") == 0
    assert executor.gauge("halt_unverified_shards") == 1
    assert len(await world.resting()) == 2

    await world.exchange.sim("sick", {"shards": []})
    await verified(executor, "account")
    assert await world.resting() == []


async def test_halt_is_verified_by_a_venue_that_is_slower_than_a_listing_may_be_at_first(
    world: World,
) -> None:
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)
    await world.exchange.sim("distance", {"ms_min": 1_400, "ms_max": 1_400, "read_lag_s": LAG_S})

    await world.halt()
    await verified(executor, "account", within_s=15)
    assert executor.gauge("halt_unverified_shards") == 0
    await world.exchange.sim("distance", {"ms_min": 0, "ms_max": 0, "read_lag_s": LAG_S})
    assert await world.resting() == []


@pytest.mark.parametrize(
    ("payload", "scope"),
    [(b"", "account"), (a_halt(ScopeKind.EVENT, "E-1"), "event:E-1")],
    ids=["account", "event"],
)
async def test_halt_while_a_create_is_on_its_way_leaves_nothing_resting(
    world: World, payload: bytes, scope: str
) -> None:
    executor = await world.start()
    await world.exchange.sim("distance", {"ms_min": 300, "ms_max": 300, "read_lag_s": LAG_S})
    creates = (await world.exchange.sim("record"))["creates"]
    await world.target(BID, ASK)

    async def is_under_way() -> bool:
        return bool((await world.exchange.sim("record"))["creates"] > creates)

    await eventually(is_under_way)
    await world.halt(payload)
    await verified(executor, scope)
    assert await world.resting() == []
    await eventually(lambda: not list(executor.engine.account.orders.live()))
    assert await world.resting() == []


async def test_halt_is_heard_before_the_next_create_while_the_main_loop_is_blocked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between journal and send the main loop stands still, a halt comes, and the loop goes on sending."""
    executor = await world.start()
    sender: Any = executor.app._sender
    journal = sender._journal
    flag = sender._flag
    heard_while_blocked: list[bool] = []

    async def journal_then_block(batch: Any) -> Any:
        why = await journal(batch)
        halting = threading.Thread(target=publish_raw, args=(world.nats_url, "dora.sim.ctl.halt.operator"))
        halting.start()
        deadline = time.monotonic() + 5
        while flag.heard == 0 and time.monotonic() < deadline:
            time.sleep(0.01)  # the point of the test
        heard_while_blocked.append(flag.is_up)
        halting.join()
        return why

    monkeypatch.setattr(sender, "_journal", journal_then_block)
    await world.target(BID, ASK)
    await eventually(lambda: heard_while_blocked, 10)
    assert heard_while_blocked == [True]
    await verified(executor, "account")
    assert await world.orders_ever() == 0
    reasons = {order.reason for order in executor.engine.account.orders.all()}
    assert reasons == {"unsent: halt_heard"}


async def test_takeovers_of_a_day_of_halts_do_not_grow(world: World) -> None:
    """Triggering once more what is known to be dead would cost each halt three requests for ever."""
    executor = await world.start()
    gate = executor.engine.account.gate
    for number in range(3):
        await world.target(BID, ASK)
        await world.until_resting(2)
        await world.halt(b"again")
        # Until this halt is stored and its ladder walks, the newest of both is that of the halt before.
        await world.until_resting(0)
        await eventually(lambda: [one for one in gate.latch.halts[:1] if one.sequence], what="a stored halt")
        await verified(executor, "account")
        await world.resume()
        await eventually(lambda number=number: executor.gauge("epoch") == number + 2)
        await world.until_state(executor, "running")
    dead = executor.engine.account.groups_dead
    assert len(dead) == 3
    # The last target may have asked for the newest epoch's group already.
    assert not [group for group in executor.app._leadership.groups if group.order_group_id in dead]


async def test_kill_requests_do_not_wait_for_the_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)
    may_write = threading.Event()
    latch: Any = executor.app._latch
    write = latch._write

    def slow(record: object) -> None:
        may_write.wait(10)
        write(record)

    monkeypatch.setattr(latch, "_write", slow)
    await world.halt(b"with a slow disk")
    await world.until_resting(0)
    await verified(executor, "account")
    assert executor.engine.account.gate.file_reason == "with a slow disk"
    assert not latch.read().is_halted
    may_write.set()
    await eventually(lambda: latch.read().is_halted)


def publish_raw(url: str, subject: str) -> None:
    """Publish an empty message with nothing but a socket, from whatever thread."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as link:
        link.recv(4096)
        link.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
        link.sendall(f"PUB {subject} 0\r\n\r\nPING\r\n".encode())
        while b"PONG" not in link.recv(4096):
            pass


async def test_halts_triggers_queue_behind_no_cancel_that_hangs(world: World) -> None:
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)
    hung = {
        "kind": "delay",
        "match": "DELETE /portfolio/events/orders/batched",
        "count": 1_000,
        "seconds": 4.0,
    }
    await world.exchange.sim("faults", hung)
    cancels = [[CancelRequest(f"gone-{number}", "", world.market, 0)] for number in range(20)]
    waiting = [asyncio.create_task(executor.app._sender.send_cancels(one)) for one in cancels]
    await asyncio.sleep(0.1)  # more of them than one transport has connections

    await world.halt()
    await world.until_resting(0, 1.5)
    assert not any(task.done() for task in waiting)
    world.exchange.exchange.venue.faults.clear()
    await asyncio.gather(*waiting)

"""The reconciler on a real bus, against the real simulated exchange; the test is the executor."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from libs.common.bus.nats import NatsBus
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.transport import make_transport
from libs.common.messages.control import HaltV1
from libs.common.messages.risk import ReconResultV1
from libs.common.runtime.app import App
from libs.common.runtime.clock import SystemClock
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.exchange import RunningExchange, running_exchange
from tests.support.truth_apps import (
    ACCOUNT,
    SUBJECTS,
    Ear,
    FakeExecutor,
    ask,
    fill_of,
    permits,
    reconciler,
    serving,
)
from tests.support.truth_builders import client_id


@dataclass
class Scene:
    """Everything that stands when a test begins: agreed, permit open."""

    exchange: RunningExchange
    bus: NatsBus
    app: App
    executor: FakeExecutor
    reader: VenueReader
    market: str
    permits: Ear
    drifts: Ear
    halts: Ear
    fills: list[Any] = field(default_factory=list)

    async def is_open(self) -> bool:
        return self.permits.last is not None and bool(self.permits.last.is_open)

    async def drifted(self, kind: str, timeout_s: float = 8) -> Any:
        """Return the first confirmed drift of a kind, once it was published."""

        def find() -> list[Any]:
            return [d for result in self.drifts.heard for d in result.drifts if d.kind == kind]

        await eventually(find, timeout_s, what=f"a drift of kind {kind}")
        return find()[0]


@pytest.fixture
async def scene(tmp_path: Path, streams_url: str, connect: Connect) -> AsyncIterator[Scene]:
    async with contextlib.AsyncExitStack() as stack:
        exchange = await stack.enter_async_context(running_exchange(tmp_path, synthetic_events_per_s=20.0))
        bus, mine = await connect("reconciler"), await connect("test")
        reader = VenueReader(
            exchange.at.rest_url, make_transport(exchange.at.rest_url), exchange.signer(), SystemClock()
        )
        balance = await reader.balance()
        executor = FakeExecutor(mine, balance.total_e6, time.time_ns() // 1_000_000)
        market = (await reader.markets())[0].market
        ears = (
            await permits(mine, "permit.recon"),
            await Ear.on(mine, SUBJECTS.all_of("recon.drift"), ReconResultV1),
            await Ear.on(mine, SUBJECTS.of("ctl.halt", "reconciler"), HaltV1),
        )
        app = await stack.enter_async_context(serving(reconciler(exchange, bus), bus, "reconciler"))
        await executor.lead()
        stack.push_async_callback(executor.die)
        built = Scene(exchange, mine, app, executor, reader, market, *ears)
        await eventually(lambda: built.permits.last is not None and built.permits.last.epoch == 1)
        await eventually(built.is_open, 10, what="an open permit")
        yield built


async def test_an_order_placed_outside_is_exactly_one_orphan_with_its_ticker(scene: Scene) -> None:
    """Requirement D-036; it is reported and never touched."""
    placed = await scene.exchange.order(scene.market, "bid", "0.0100", client_order_id="by-hand")
    drift = await scene.drifted("foreign_order")
    assert (drift.market, drift.key, drift.action) == (scene.market, "by-hand", "alert")
    assert scene.drifts.last.orphaned_detected == 1
    resting = await scene.reader.orders("resting")
    assert [order.order_id for order in resting] == [placed["order_id"]]
    assert await scene.is_open()


async def test_an_order_with_our_prefix_that_nobody_knows_closes_the_permit(scene: Scene) -> None:
    await scene.exchange.order(scene.market, "bid", "0.0100", client_order_id=client_id(7))
    drift = await scene.drifted("orders_only_exchange")
    assert drift.odd_one_out == "executor"
    await eventually(lambda: not scene.permits.last.is_open)


async def test_a_fill_that_the_executor_lacks_halts_and_names_it(scene: Scene) -> None:
    await _trade(scene)
    drift = await scene.drifted("fill")
    assert drift.odd_one_out == "executor"
    await eventually(lambda: scene.halts.heard, what="a halt")
    newest = await scene.bus.last(SUBJECTS.of("ctl.halt", "reconciler"))
    assert newest is not None
    await eventually(lambda: not scene.permits.last.is_open)


async def test_honest_trading_agrees_to_the_millionth(scene: Scene) -> None:
    for _ in range(3):
        for fill in await _trade(scene):
            await scene.executor.fill(fill_of(fill))
    result = await _settled_result(scene)
    assert result["drifts"] == []
    assert (result["position_residual_e2"], result["cash_residual_e6"]) == (0, 0)
    assert not scene.halts.heard


async def test_an_unreachable_venue_closes_the_permit_and_opens_it_again(scene: Scene) -> None:
    await scene.exchange.sim("faults", {"kind": "error_before", "status": 503, "count": 1_000_000})
    await eventually(lambda: not scene.permits.last.is_open, 10)
    await scene.exchange._http.delete("/sim/faults")
    await eventually(scene.is_open, 15)
    assert not scene.halts.heard


async def test_a_silent_executor_closes_the_permit_and_its_successor_opens_it(scene: Scene) -> None:
    """A crash halts nothing: orders and fills that happened meanwhile are its successor's to explain."""
    await scene.executor.die()
    fills = await _trade(scene)
    await eventually(lambda: not scene.permits.last.is_open, 10)
    await scene.executor.lead()
    for fill in fills:
        await scene.executor.fill(fill_of(fill))
    await eventually(lambda: scene.permits.last.is_open and scene.permits.last.epoch == 2, 10)
    assert not scene.halts.heard


async def test_a_feed_that_was_cut_comes_back_and_stays_agreed(scene: Scene) -> None:
    feed = scene.app._core.drop_copy  # type: ignore[attr-defined]
    before_ms = feed.connected_ms
    await scene.exchange.sim("faults", {"kind": "ws_disconnect"})
    await eventually(lambda: feed.connected_ms not in (None, before_ms), 10)
    result = await _settled_result(scene)
    assert result["drifts"] == []
    await eventually(scene.is_open, 10)
    assert not scene.halts.heard


async def test_garbage_in_the_journal_changes_nothing(scene: Scene) -> None:
    for family in ("order", "fill", "exec.intent"):
        await scene.bus.append(SUBJECTS.of(family, "x"), b"\x00not json", msg_id=f"garbage-{family}")
    result = await _settled_result(scene)
    assert result["drifts"] == []
    assert scene.app.status().counters["malformed"] == 3


async def test_run_now_answers_with_a_result(scene: Scene) -> None:
    result = await ask(scene.bus, "reconciler", "run_now")
    assert result["reason"] == "request"
    assert result["account"] == ACCOUNT


async def _trade(scene: Scene) -> list[Any]:
    """Cross the spread and return the fills that the venue lists for it."""
    body = {"time_in_force": "immediate_or_cancel", "client_order_id": client_id(time.time_ns() % 10**9)}
    await scene.exchange.order(scene.market, "bid", "0.9900", "2.00", **body)
    fills: list[Any] = []

    async def arrived() -> bool:
        known = {(f.trade_id, f.order_id) for f in scene.fills}
        fills[:] = [f for f in await scene.reader.fills() if (f.trade_id, f.order_id) not in known]
        return bool(fills)

    await eventually(arrived, 8, poll_s=0.05, what="a fill")
    scene.fills.extend(fills)
    return list(fills)


async def _settled_result(scene: Scene) -> Any:
    """Return a result of a comparison in which nothing is young any more."""
    cycles = scene.app.status().counters["cycles"]
    await eventually(lambda: scene.app.status().counters["cycles"] > cycles + 2, 10)
    return await ask(scene.bus, "reconciler", "run_now")

"""`dora trace` and `dora orders` against a real bus, a real executor and the simulated exchange."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from libs.cli import open_orders
from libs.cli.trace import Trace, trace
from libs.cli.trace_view import lines
from libs.common.bus.nats import NatsBus
from libs.common.bus.permissions import INIT, OPERATOR, render_server_config
from libs.common.bus.streams import create_streams
from libs.common.domain.side import Side
from libs.common.messages.base import encode
from libs.common.messages.execution import Action, IntentItemV1, IntentV1
from libs.common.messages.target import DecisionBatchV1, SilenceV1, StageV1
from libs.common.subjects import Subjects
from tests.support.bus import ENV, Connect
from tests.support.eventually import eventually
from tests.support.executor_builders import a_quote, a_target
from tests.support.executor_world import Executor, World, executor_world
from tests.support.nats_server import own_server

ASK = a_quote(Side.ASK, 6_300, 1_250)


@pytest.fixture
async def world(streams_url: str, connect: Connect, tmp_path: Path) -> AsyncIterator[World]:
    async with executor_world(streams_url, connect, tmp_path) as made:
        yield made


async def decide(world: World, *, sequence: int = 7, bid_e4: int = 6_000) -> str:
    """Let a strategy want both sides, say so, and write down why; return the decision id."""
    now_ms = time.time_ns() // 1_000_000
    target = a_target(
        a_quote(Side.BID, bid_e4, 500),
        ASK,
        market=world.market,
        sequence=sequence,
        book_as_of_ms=now_ms,
        expires_ms=now_ms + 60_000,
        stages=(StageV1(stage="inventory", bid_ticks_e2=-150, ask_ticks_e2=0, reason="long"),),
        silences=(SilenceV1(side=Side.ASK, reason="none_really"),),
        fair_e4=6_150.0,
    )
    batch = DecisionBatchV1(instance="s", run="run", targets=(target,))
    await world.bus.append(
        world.subjects.of("audit.decision", "s"), encode(batch), msg_id=f"decision-{sequence}"
    )
    await world.bus.publish(world.subjects.of("target", world.market), encode(target))
    return target.decision_id


async def lived(world: World) -> tuple[Executor, str]:
    """Let a bid be placed, filled in part and halted away; return the executor and the decision."""
    await world.resume()
    executor = await world.start()
    decision = await decide(world)
    await world.until_resting(2)
    await world.take(Side.ASK, "0.6000", "2.00")
    await eventually(lambda: executor.counter("fills") == 1)
    # Records are told in the order in which they were stored, so the fill's has to be there.
    await eventually(lambda: executor.app.status().gauges["journal_waiting"] == 0)
    await world.halt(b"enough for today")
    await world.until_resting(0)
    await eventually(lambda: executor.app.status().gauges["journal_waiting"] == 0)
    return executor, decision


def kinds(told: Trace) -> list[str]:
    return [step.what for step in told.steps]


async def test_trace_tells_an_order_from_the_book_to_its_end_by_any_of_its_names(world: World) -> None:
    executor, decision = await lived(world)
    bid = next(o for o in executor.engine.account.orders.all() if o.side is Side.BID)

    by_ours = await trace(world.bus, world.subjects, bid.client_order_id)
    by_venue = await trace(world.bus, world.subjects, bid.order_id)
    by_decision = await trace(world.bus, world.subjects, decision)

    seen = kinds(by_ours)
    assert seen[:2] == ["book", "decision"]
    # What came first of each kind; the replenishing of what was filled comes between.
    assert sorted(("decision", "intent", "result", "fill", "halt"), key=seen.index) == [
        "decision",
        "intent",
        "result",
        "fill",
        "halt",
    ]
    assert "order" in seen
    assert by_ours.steps[-1].detail["state"] == "cancelled"
    assert by_venue.steps == by_ours.steps
    assert by_ours.order_ids == (bid.order_id,)
    assert by_ours.decision_ids == (decision,)
    stored = [step.at for step in by_ours.steps if step.what not in ("book", "decision")]
    assert all(at.startswith("20") for at in stored)
    # A decision tells of both its orders, an order not of its sibling.
    assert len(by_ours.client_order_ids) == 1
    assert len(by_decision.client_order_ids) == 2
    assert kinds(by_decision).count("intent") >= 2
    text = "\n".join(lines(by_ours))
    for words in (
        "fair 0.6150; inventory -1.5/+0 ticks (long); wants bid 5.00 at 0.6000",
        "create bid 5.00 at 0.6000",
        "create accepted after",
        "bid 2.00 at 0.6000",
        "by operator: enough for today",
        "no ask: none_really",
    ):
        assert words in text, text
    assert msgspec.json.decode(msgspec.json.encode(by_ours), type=Trace) == by_ours


async def test_trace_puts_a_later_decision_before_the_amend_that_it_led_to(world: World) -> None:
    await world.resume()
    executor = await world.start()
    first = await decide(world)
    await world.until_resting(2)
    bid = next(o for o in executor.engine.account.orders.all() if o.side is Side.BID)
    await eventually(lambda: bid.order_id and executor.app.status().gauges["journal_waiting"] == 0)
    second = await decide(world, sequence=8, bid_e4=5_900)
    await eventually(lambda: bid.price_e4 == 5_900)
    await eventually(lambda: executor.app.status().gauges["journal_waiting"] == 0)

    told = await trace(world.bus, world.subjects, bid.client_order_id)

    intents = [step.detail["decision_id"] for step in told.steps if step.what == "intent"]
    assert intents == [first, second]
    assert [step.what for step in told.steps if step.what in ("decision", "intent")] == [
        "decision",
        "intent",
        "decision",
        "intent",
    ]


async def test_trace_of_what_nobody_knows_is_empty(world: World) -> None:
    assert (await trace(world.bus, world.subjects, "dora-sim-1-1-0-00000000")).steps == ()
    assert (await trace(world.bus, world.subjects, "run:M:1")).steps == ()
    assert (await trace(world.bus, world.subjects, "11111111-2222")).steps == ()


async def test_open_orders_have_the_fields_of_the_requirement(world: World) -> None:
    await world.resume()
    executor = await world.start()
    serving = await executor.bus.serve("executor", executor.app.endpoints, {"version": "0.0.0"})
    decision = await decide(world)
    await world.until_resting(2)
    await eventually(lambda: all(o.order_id for o in executor.engine.account.orders.live()))

    shown = await open_orders.ask(world.bus, world.subjects)
    resting = {order["order_id"]: order for order in await world.resting()}

    assert shown.orders.keys() == resting.keys()
    (bid,) = [one for one in shown.orders.values() if one.side == "bid"]
    assert (bid.market_id, bid.price, bid.size, bid.status) == (world.market, "0.6000", "5.00", "resting")
    assert (bid.decision_id, bid.tif) == (decision, "good_till_canceled")
    assert bid.client_order_id in {order["client_order_id"] for order in resting.values()}
    # made within the last minute by our clock, and dated.
    assert bid.created_at[:13] <= shown.last_updated[:13]
    assert bid.created_at
    asks = await open_orders.ask(world.bus, world.subjects, market=world.market, state="resting")
    assert asks.orders.keys() == resting.keys()
    assert (await open_orders.ask(world.bus, world.subjects, market="OTHER")).orders == {}
    assert (await open_orders.ask(world.bus, world.subjects, state="unknown")).orders == {}
    assert open_orders.table(shown).row_count == 2
    await serving.stop()


async def test_operator_may_read_all_that_a_trace_needs() -> None:
    """With the permissions of the real server: every stream by question, and nothing written."""
    passwords = {INIT: "init", OPERATOR: "operator", "executor": "executor"}
    with own_server(lambda *at: render_server_config(ENV, at[2], at[0], at[1], passwords)) as server:
        await create_streams(server.url, ENV, user=INIT, password="init")
        subjects = Subjects(ENV)
        executor = await NatsBus.connect(
            server.url, name="executor", env=ENV, user="executor", password="executor"
        )
        client = "dora-sim-1-1-0-0a0b0c0d"
        item = IntentItemV1(
            action=Action.CREATE,
            market="M",
            shard=0,
            client_order_id=client,
            side=Side.BID,
            price_e4=1,
            qty_e2=1,
            decision_id="run:M:1",
        )
        intent = IntentV1(account="main", epoch=1, batch=1, items=(item,), issued_ns=1)
        await executor.append(subjects.of("exec.intent", "main"), encode(intent), msg_id="1")
        operator = await NatsBus.connect(
            server.url, name=OPERATOR, env=ENV, user=OPERATOR, password="operator"
        )

        told = await trace(operator, subjects, client)

        assert kinds(told) == ["intent"]
        assert told.decision_ids == ("run:M:1",)
        await executor.drain()
        await operator.drain()

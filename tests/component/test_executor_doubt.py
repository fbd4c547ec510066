"""Doubt over real HTTP: every way an answer can fail, what is believed of it, and how long that takes."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from libs.common.bus.api import Message
from libs.common.domain.side import Side
from libs.common.messages.execution import OrderState
from services.executor.config import Evidence
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.executor_builders import a_quote
from tests.support.executor_world import Executor, World, executor_world

CREATE = "POST /portfolio/events/orders"
BID = a_quote(Side.BID, 6_000, 500)
FAULTS = (
    ("drop_request", 0, False),
    ("drop_response", 0, True),
    ("error_before", 500, False),
    ("error_before", 503, False),
    ("error_after", 500, True),
    ("error_after", 503, True),
    ("error_after", 410, True),
    ("foreign_echo", 0, True),
    ("garbled", 0, True),
    ("missing_item", 0, True),
)
"""Kind, status, and whether the order came to be."""


@pytest.fixture
async def world(streams_url: str, connect: Connect, tmp_path: Path) -> AsyncIterator[World]:
    async with executor_world(streams_url, connect, tmp_path) as made:
        await made.resume()
        try:
            yield made
        finally:
            made.exchange.exchange.venue.faults.clear()  # an executor that cannot read does not end


async def seconds_in_doubt(world: World, executor: Executor, kind: str, status: int, *, lands: bool) -> float:
    """Throw one fault at one create, and return how long it took from the target to a known outcome."""
    before, ever = executor.counter("unknown"), await world.orders_ever()
    fault = {"kind": kind, "match": CREATE, "count": 1} | ({"status": status} if status else {})
    await world.exchange.sim("faults", fault)
    began_s = time.monotonic()
    await world.target(BID)
    await eventually(lambda: executor.counter("unknown") == before + 1, what=f"{kind} {status} in doubt")
    # A quote that is wanted again after an absence was proven is a new order, with an intent of its own.
    await world.target()
    await eventually(lambda: executor.gauge("unknown_open") == 0, 30, what=f"{kind} {status} settled")
    took_s = time.monotonic() - began_s
    assert await world.orders_ever() == ever + lands, "never sent twice"
    await world.until_resting(0)
    newest = max(executor.engine.account.orders.all(), key=lambda order: order.created_ns)
    wanted = OrderState.CANCELLED if lands else OrderState.REFUSED
    await eventually(lambda: newest.state is wanted, what=f"{kind} {status} {wanted}, {newest.state}")
    return took_s


async def test_no_fault_leads_to_a_wrong_conclusion_and_half_of_them_are_settled_in_three_seconds(
    world: World,
) -> None:
    executor = await world.start(evidence=Evidence())
    took = {
        f"{kind} {status}": await seconds_in_doubt(world, executor, kind, status, lands=lands)
        for kind, status, lands in FAULTS
    }
    assert (executor.counter("orphans"), executor.counter("duplicates")) == (0, 0)
    assert executor.gauge("conflicts_open") == 0
    assert statistics.median(took.values()) < 3, took
    assert max(took.values()) < 60, took


async def test_order_that_no_read_can_settle_is_proven_on_an_operators_word(world: World) -> None:
    executor = await world.start(evidence=Evidence(read_lag_s=0.2, clean_gap_s=0.1))
    executor.engine.conflicts.handover_ns = 1_000_000_000
    epoch = executor.gauge("epoch")
    await world.exchange.sim("faults", {"kind": "drop_request", "match": CREATE, "count": 1})
    await world.target(BID)
    await eventually(lambda: executor.gauge("unknown_open") == 1, 10)
    # From here on no read answers, so the order can not be proven absent.
    unread = {"kind": "error_before", "match": "GET /portfolio/orders", "count": 100_000}
    await world.exchange.sim("faults", unread)
    await eventually(lambda: executor.gauge("conflicts_open") == 1, 10)
    assert executor.gauge("unknown_open") == 1
    assert await world.orders_ever() == 0

    answers: list[dict[str, object]] = []

    async def respond(_: Message, data: bytes) -> None:
        answers.append(json.loads(data))

    executor.bus.respond = respond  # type: ignore[method-assign, assignment]
    ask = replace(Message(subject="x", data=b""), data=b'{"by":"ann","reason":"the venue is back"}')
    await executor.app.endpoints["settle"](replace(ask, data=b"{}"))
    assert "expected by and reason" in str(answers[-1]["error"])
    world.exchange.exchange.venue.faults.clear()
    await executor.app.endpoints["conflicts"](ask)
    await world.target()
    await executor.app.endpoints["settle"](ask)
    assert len(answers[-2]["conflicts"]) == 1  # type: ignore[arg-type]
    assert answers[-1]["conflicts"] == []
    assert len(answers[-1]["settled"]) == 1  # type: ignore[arg-type]
    assert executor.gauge("epoch") == epoch + 1, "its groups are dead, so nothing can come any more"
    await world.until_state(executor, "running")
    await world.target(BID)
    await world.until_resting(1)
    assert await world.orders_ever() == 1


async def test_answer_that_comes_after_a_takeover_finds_its_own_batch(world: World) -> None:
    """Batches are numbered anew in each epoch: the first ones of both are under way at once."""
    executor = await world.start()
    await world.exchange.sim("faults", {"kind": "delay", "match": CREATE, "count": 1, "seconds": 3.0})
    await world.target(BID)
    await world.until_resting(1)
    assert executor.engine.quoter.batches_open == 1, "it rests, and nobody has said so to us"
    executor.app._performer.perform([executor.engine.account.take_over("test")])
    await eventually(lambda: executor.gauge("epoch") == 2)
    await world.until_state(executor, "running")
    await world.target(BID)
    await world.until_resting(1)
    await world.target(BID, a_quote(Side.ASK, 6_300, 500))
    await world.until_resting(2)
    assert executor.engine.quoter.batches_open >= 1, "the late answer is still to come"
    await eventually(lambda: executor.engine.quoter.batches_open == 0, 6)
    await eventually(lambda: executor.counter("orders_created") == 3)
    assert executor.counter("unknown") == 0
    await world.until_state(executor, "running")

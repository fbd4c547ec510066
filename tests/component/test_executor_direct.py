"""People's orders and flattening against a real bus and the real simulated exchange over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.bus.api import BusUnavailable
from libs.common.domain.side import Side
from libs.common.messages.base import Wire, WireDecoder, encode
from libs.common.messages.control import GateState, HaltV1
from libs.common.messages.execution import AuditExecV1, IntentV1, Purpose
from libs.common.messages.orders import (
    ConfirmAskV1,
    ConfirmationV1,
    ConfirmBatchV1,
    ConfirmStatus,
    FlattenAskV1,
    FlattenReportV1,
    PlaceAskV1,
)
from services.executor.config import Confirmation, Flatten
from services.executor.shell.direct import STARTING
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.executor_builders import a_quote
from tests.support.executor_world import ACCOUNT, Executor, World, executor_world

BID, ASK = a_quote(Side.BID, 5_800, 500), a_quote(Side.ASK, 6_300, 500)
OPT_IN = Flatten(is_enabled=True, collar_e4=300, cost_e6_max=10_000_000, slice_e2_max=300, exit_wait_s=3.0)
CREATE = "POST /portfolio/events/orders"


@pytest.fixture
async def world(streams_url: str, connect: Connect, tmp_path: Path) -> AsyncIterator[World]:
    async with executor_world(streams_url, connect, tmp_path) as made:
        await made.resume()
        yield made


async def serving(world: World, **changes: Any) -> Executor:
    executor = await world.start(**changes)
    await executor.bus.serve("executor", executor.app.endpoints, {})
    # Until the venue has told the cash, nothing that costs any may be opened.
    await eventually(lambda: executor.engine.account.desk.cash.asked_ns is not None)
    return executor


async def ask(world: World, endpoint: str, question: Wire, kind: type[Any], timeout_s: float = 20) -> Any:
    subject = world.subjects.of("svc", "executor", endpoint)
    answer = await world.bus.request(subject, encode(question), timeout_s=timeout_s)
    return WireDecoder(kind).decode(answer.data)


def an_ask(world: World, **changes: Any) -> PlaceAskV1:
    fields: dict[str, Any] = {
        "request_id": uuid.uuid4().hex,
        "account": ACCOUNT,
        "market": world.market,
        "side": Side.BID,
        "price_e4": 6_100,
        "qty_e2": 200,
        "max_wait_s": 5.0,
        "poll_s": 0.2,
        "by": "me",
        "reason": "test",
    }
    return PlaceAskV1(**(fields | changes))


async def place(world: World, question: PlaceAskV1) -> ConfirmationV1:
    told: ConfirmationV1 = await ask(world, "place", question, ConfirmationV1)
    return told


async def long(world: World, qty_e2: int = 500) -> None:
    """Let the account hold YES: somebody sells, a manual order buys."""
    await world.take(Side.ASK, "0.6000", f"{qty_e2 / 100:.2f}")
    told = await place(world, an_ask(world, price_e4=6_000, qty_e2=qty_e2))
    assert told.status is ConfirmStatus.FILLED, told.error_message


def qty_e2(executor: Executor, world: World) -> int:
    return int(executor.engine.account.positions.qty_e2(world.market))


async def test_manual_order_is_filled_confirmed_journalled_and_audited(world: World) -> None:
    executor = await serving(world)
    await world.take(Side.ASK, "0.6000", "2.00")
    question = an_ask(world, reason="fat fingers are welcome", by="ann")
    told = await place(world, question)

    assert (told.status, told.filled_e2, told.booked_e2, told.error_message) == (
        ConfirmStatus.FILLED,
        200,
        200,
        "",
    )
    assert (told.average_price_e4, told.slippage_limit_e6) == (6_000, -20_000)
    assert (told.decision_bid_e4, told.decision_ask_e4, told.slippage_mid_e6) == (5_900, 6_100, 0)
    assert told.fees_e6 > 0
    assert qty_e2(executor, world) == 200
    intents = [
        WireDecoder(IntentV1).decode(message.data)
        async for message in world.bus.read(world.subjects.all_of("exec.intent"))
    ]
    (item,) = (item for intent in intents for item in intent.items)
    assert (item.purpose, item.decision_id) == (Purpose.MANUAL, told.decision_id)
    await executor.stop()
    audits = [
        WireDecoder(AuditExecV1).decode(message.data)
        async for message in world.bus.read(world.subjects.all_of("audit.exec"))
    ]
    asked = next(one for one in audits if one.event_type == "ORDER_ASKED")
    assert (asked.by, asked.reason, asked.decision_id) == ("ann", "fat fingers are welcome", told.decision_id)
    ended = next(one for one in audits if one.event_type == "ORDER_CONFIRMED")
    assert (ended.status, ended.order_id) == ("filled", told.order.order_id if told.order else "")


async def test_manual_order_that_is_filled_in_part_times_out_and_is_gone(world: World) -> None:
    executor = await serving(world)
    await world.take(Side.ASK, "0.6000", "1.00")
    told = await place(world, an_ask(world, price_e4=6_000, max_wait_s=0.6))
    assert (told.status, told.filled_e2, told.is_acceptable) == (ConfirmStatus.TIMEOUT, 100, False)
    assert told.polls >= 1
    assert await world.resting() == []
    assert qty_e2(executor, world) == 100


async def test_exit_that_finds_too_little_is_partial_and_acceptable_from_four_fifths(world: World) -> None:
    executor = await serving(world)
    await long(world)
    await world.take(Side.BID, "0.6000", "4.00")
    told = await place(world, an_ask(world, mode=Purpose.EXIT, side=Side.ASK, price_e4=6_000, qty_e2=500))
    assert (told.status, told.filled_e2, told.is_acceptable) == (ConfirmStatus.PARTIAL, 400, True)
    assert qty_e2(executor, world) == 100
    assert await world.resting() == []


async def test_exit_never_trades_more_than_the_position(world: World) -> None:
    executor = await serving(world)
    await long(world, 200)
    await world.take(Side.BID, "0.5900", "9.00")
    exit_all = {"mode": Purpose.EXIT, "side": Side.ASK, "price_e4": 5_900}
    too_much = await place(world, an_ask(world, **exit_all, qty_e2=201))
    assert "exit_reduces: limit 200" in too_much.error_message
    told = await place(world, an_ask(world, **exit_all, qty_e2=200))
    assert (told.status, told.filled_e2) == (ConfirmStatus.FILLED, 200)
    assert qty_e2(executor, world) == 0
    again = await place(world, an_ask(world, mode=Purpose.EXIT, side=Side.ASK, price_e4=5_900))
    assert (again.status, again.order) == (ConfirmStatus.ERROR, None)
    assert "no position" in again.error_message


async def test_fill_that_races_the_cancel_of_a_timeout_is_counted(world: World) -> None:
    """The cancel is held up at the venue, and somebody trades with the order meanwhile."""
    executor = await serving(world)
    await world.exchange.sim(
        "faults",
        {"kind": "delay_before", "match": "DELETE /portfolio/events/orders", "count": 1, "seconds": 0.8},
    )
    waiting = asyncio.create_task(place(world, an_ask(world, price_e4=6_000, max_wait_s=0.5)))
    await world.until_resting(1)
    await eventually(
        lambda: any(o.state.value == "cancel_pending" for o in executor.engine.account.orders.live())
    )
    await world.take(Side.ASK, "0.6000", "1.50")
    told = await waiting
    assert (told.status, told.filled_e2, told.booked_e2) == (ConfirmStatus.TIMEOUT, 150, 150)
    assert qty_e2(executor, world) == 150
    assert await world.resting() == []


async def test_fill_that_the_feed_keeps_to_itself_is_found_by_reading(world: World) -> None:
    await serving(world)
    await world.exchange.sim("faults", {"kind": "ws_silence", "count": 1, "seconds": 20})
    waiting = asyncio.create_task(place(world, an_ask(world, price_e4=6_000, max_wait_s=15.0)))
    await world.until_resting(1)
    await world.take(Side.ASK, "0.6000", "2.00")
    told = await waiting
    assert (told.status, told.booked_e2) == (ConfirmStatus.FILLED, 200)
    assert told.polls >= 1


async def test_halt_ends_a_manual_order_and_its_wait(world: World) -> None:
    executor = await serving(world)
    waiting = asyncio.create_task(place(world, an_ask(world, price_e4=6_000, max_wait_s=60.0)))
    await world.until_resting(1)
    await world.halt()
    told = await waiting
    assert (told.status, told.filled_e2) == (ConfirmStatus.CANCELLED, 0)
    assert await world.resting() == []
    assert executor.app.status().state == "halted"


async def test_order_without_a_readable_answer_is_confirmed_by_evidence_and_sent_once(world: World) -> None:
    executor = await serving(world)
    await world.take(Side.ASK, "0.6000", "2.00")
    await world.exchange.sim("faults", {"kind": "drop_response", "match": CREATE, "count": 1})
    told = await place(world, an_ask(world))
    assert (told.status, told.filled_e2) == (ConfirmStatus.FILLED, 200)
    assert executor.counter("unknown") == 1
    assert await world.orders_ever() == 1


async def test_order_that_never_arrived_is_unknown_when_the_wait_is_short_and_an_error_later(
    world: World,
) -> None:
    executor = await serving(world, confirmation=Confirmation(verify_s=0.2))
    await world.exchange.sim("faults", {"kind": "drop_request", "match": CREATE, "count": 1})
    question = an_ask(world, max_wait_s=0.3)
    told = await place(world, question)
    assert (told.status, told.filled_e2) == (ConfirmStatus.UNKNOWN, 0)
    other = await place(world, an_ask(world))
    assert "unknown" in other.error_message, "the market takes nothing until evidence settles it"
    await eventually(lambda: executor.gauge("unknown_open") == 0)
    again = await place(world, question)
    assert (again.status, await world.orders_ever()) == (ConfirmStatus.ERROR, 0)
    assert "never_arrived" in again.error_message


async def test_same_request_is_answered_the_same_and_makes_no_second_order(world: World) -> None:
    executor = await serving(world)
    await world.take(Side.ASK, "0.6000", "9.00")
    question = an_ask(world)
    both = await asyncio.gather(place(world, question), place(world, question))
    assert both[0] == both[1] == await place(world, question)
    assert await world.orders_ever() == 1
    changed = await place(world, an_ask(world, request_id=question.request_id, qty_e2=300))
    assert (changed.status, changed.order) == (ConfirmStatus.ERROR, None)

    await executor.crash()
    await executor.bus.drain()
    again = await serving(world)
    told = await place(world, question)
    assert (told.status, told.filled_e2, told.decision_id) == (ConfirmStatus.FILLED, 200, both[0].decision_id)
    assert await world.orders_ever() == 1
    assert qty_e2(again, world) == 200


async def test_request_asked_again_while_a_new_leader_reads_its_journal_is_not_answered_from_ignorance(
    world: World,
) -> None:
    executor = await serving(world)
    await world.take(Side.ASK, "0.6000", "9.00")
    question = an_ask(world)
    assert (await place(world, question)).status is ConfirmStatus.FILLED
    await executor.crash()
    await executor.bus.drain()

    again = await world.start(wait=False)
    await again.bus.serve("executor", again.app.endpoints, {})
    heard: list[ConfirmationV1] = []

    async def is_found() -> bool:
        with contextlib.suppress(BusUnavailable):  # the server may not have seen the subscription yet
            heard.append(await place(world, question))
        return bool(heard) and not heard[-1].error_message.startswith("standby")

    await eventually(is_found, 10)
    told = heard[-1]
    assert STARTING in {one.error_message for one in heard}, "it was asked while it read"
    assert (told.status, told.filled_e2) == (ConfirmStatus.FILLED, 200)
    assert await world.orders_ever() == 1


async def test_strategy_neither_cancels_nor_crosses_a_manual_order(world: World) -> None:
    await serving(world)
    waiting = asyncio.create_task(place(world, an_ask(world, price_e4=6_000, qty_e2=300, max_wait_s=3.0)))
    await world.until_resting(1)
    await world.target(a_quote(Side.BID, 5_800, 500), a_quote(Side.ASK, 6_000, 500))
    await world.until_resting(2)
    await world.target()
    await world.until_resting(1)
    (order,) = await world.resting()
    assert (order["book_side"], order["yes_price_dollars"]) == ("bid", "0.6000")
    await world.take(Side.ASK, "0.6000", "3.00")
    assert (await waiting).status is ConfirmStatus.FILLED


async def test_exit_makes_its_way_through_own_quotes(world: World) -> None:
    executor = await serving(world)
    await long(world, 200)
    await world.target(a_quote(Side.BID, 5_900, 500))
    await world.until_resting(1)
    await world.take(Side.BID, "0.5900", "2.00")
    told = await place(world, an_ask(world, mode=Purpose.EXIT, side=Side.ASK, price_e4=5_900, qty_e2=200))
    assert (told.status, told.filled_e2) == (ConfirmStatus.FILLED, 200), told
    assert qty_e2(executor, world) == 0
    await world.target(a_quote(Side.BID, 5_800, 500))
    await world.until_resting(1)


async def test_orders_are_refused_with_the_reason(world: World) -> None:
    await serving(world)
    far = await place(world, an_ask(world, price_e4=8_000))
    assert (far.status, far.order) == (ConfirmStatus.ERROR, None)
    assert "price_collar" in far.error_message
    other = await place(world, an_ask(world, account="somebody"))
    assert "account" in other.error_message
    nobody = await place(world, an_ask(world, by=""))
    assert "by and reason" in nobody.error_message
    subject = world.subjects.of("svc", "executor", "place")
    garbled = await world.bus.request(subject, b'{"market":1}', timeout_s=5)
    assert WireDecoder(ConfirmationV1).decode(garbled.data).status is ConfirmStatus.ERROR
    assert await world.orders_ever() == 0


async def test_several_orders_are_confirmed_together(world: World) -> None:
    executor = await serving(world)
    await world.take(Side.ASK, "0.6000", "2.00")
    asks = [an_ask(world), an_ask(world, price_e4=5_700, max_wait_s=0.4)]
    placing = [asyncio.create_task(place(world, one)) for one in asks]
    ids = (*(one.request_id for one in asks), "never-asked")
    await eventually(lambda: executor.engine.direct.confirm(ids).missing == ("never-asked",))
    both = await ask(world, "confirm", ConfirmAskV1(request_ids=ids, max_wait_s=10), ConfirmBatchV1)
    assert [one.status for one in both.confirmations] == [ConfirmStatus.FILLED, ConfirmStatus.TIMEOUT]
    assert (both.missing, both.pending, both.is_acceptable) == (("never-asked",), (), False)
    await asyncio.gather(*placing)


# Flattening -------------------------------------------------------------------------------------------


def a_flatten(**changes: Any) -> FlattenAskV1:
    fields: dict[str, Any] = {
        "request_id": uuid.uuid4().hex,
        "account": ACCOUNT,
        "by": "me",
        "reason": "test",
        "is_dry_run": False,
    }
    return FlattenAskV1(**(fields | changes))


async def flatten(world: World, question: FlattenAskV1) -> FlattenReportV1:
    report: FlattenReportV1 = await ask(world, "flatten", question, FlattenReportV1)
    return report


async def test_flatten_cancels_verifies_and_closes_slice_by_slice(world: World) -> None:
    executor = await serving(world, flatten=OPT_IN)
    await long(world)
    await world.target(BID, ASK)
    await world.until_resting(2)
    await world.take(Side.BID, "0.5900", "9.00")

    question = a_flatten()
    rehearsed = await flatten(world, a_flatten(is_dry_run=True))
    assert [(one.qty_e2, one.price_e4) for one in rehearsed.slices] == [(300, 5_700), (200, 5_700)]
    assert (rehearsed.is_flat, rehearsed.refused) == (True, ())
    assert len(await world.resting()) == 2, "a dry run touches nothing"

    report = await flatten(world, question)
    assert (report.is_flat, report.is_verified, report.cancelled, report.left) == (True, True, 2, ()), report
    assert [one.confirmation.filled_e2 for one in report.slices if one.confirmation] == [300, 200]
    assert 0 < report.cost_e6 <= rehearsed.cost_e6
    assert qty_e2(executor, world) == 0
    assert report == await flatten(world, question), "asked again: the same report, nothing done twice"
    await eventually(lambda: executor.app.status().state == "running")


async def test_flatten_stops_at_its_cost_cap_and_says_what_is_left(world: World) -> None:
    executor = await serving(
        world, flatten=Flatten(is_enabled=True, collar_e4=300, cost_e6_max=160_000, slice_e2_max=300)
    )
    await long(world, 900)
    await world.take(Side.BID, "0.5900", "20.00")
    report = await flatten(world, a_flatten())
    assert report.cost_e6 <= report.cost_e6_max
    assert "cost cap" in report.stopped
    assert 0 < qty_e2(executor, world) < 900
    assert [(one.qty_e2, "cost cap" in one.reason) for one in report.left] == [
        (qty_e2(executor, world), True)
    ]


async def test_flatten_leaves_what_nobody_buys_within_the_collar(world: World) -> None:
    tight = msgspec.structs.replace(OPT_IN, collar_e4=50)
    executor = await serving(world, flatten=tight)
    await long(world)
    report = await flatten(world, a_flatten())
    assert "beyond the collar" in report.left[0].reason
    # Now the touch is told a cent better than the book really is.
    world.bid_e4 = 6_000
    await eventually(lambda: executor.engine.account.gate.top(world.market).bid_e4 == 6_000)
    report = await flatten(world, a_flatten())
    assert [(one.price_e4, one.cost_e6) for one in report.slices] == [(6_000, 0)]
    assert report.left[0].reason.startswith("cancelled")
    assert (report.is_flat, report.cost_e6, qty_e2(executor, world)) == (False, 0, 500)


async def test_flatten_is_refused_unless_configured_and_while_halted_and_passes_reduce_only(
    world: World,
) -> None:
    executor = await serving(world, flatten=OPT_IN)
    await long(world)
    await world.take(Side.BID, "0.5900", "9.00")
    epoch = executor.gauge("epoch")
    await world.halt(encode(HaltV1(reason="stop", by="me")))
    await world.until_state(executor, "halted")
    report = await flatten(world, a_flatten())
    assert any("halt_latched" in reason for reason in report.refused), report
    assert qty_e2(executor, world) == 500
    await world.resume()
    await eventually(lambda: executor.gauge("epoch") > epoch)
    await world.until_state(executor, "running")

    await world.halt(encode(HaltV1(reason="wind down", by="me", level=GateState.REDUCE_ONLY)))
    world.is_permitted = False
    await world.until_state(executor, "reduce_only")
    await eventually(lambda: any("permit_risk_closed" in one for one in executor.app.status().reasons))
    manual = await place(world, an_ask(world))
    assert "halt_latched" in manual.error_message
    report = await flatten(world, a_flatten())
    assert (report.is_flat, qty_e2(executor, world)) == (True, 0), report


async def test_flatten_without_opt_in_does_nothing(world: World) -> None:
    executor = await serving(world)
    await long(world, 200)
    report = await flatten(world, a_flatten())
    assert any("not enabled" in reason for reason in report.refused)
    assert (report.slices, qty_e2(executor, world)) == ((), 200)

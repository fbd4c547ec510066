"""The executor against a real bus and the real simulated exchange: quotes, doubt, halts, crashes, rivals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.bus.api import Fence
from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueFill, VenueOrder, VenueOrderStatus
from libs.common.kalshi.rest import VenueReader
from libs.common.messages.base import WireDecoder, encode
from libs.common.messages.execution import EpochV1, IntentV1, OrderV1, ResultV1
from libs.common.runtime.errors import FenceLost
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.executor_builders import a_quote
from tests.support.executor_world import World, executor_world

_ORDER = WireDecoder(OrderV1)
BID, ASK = a_quote(Side.BID, 6_000, 500), a_quote(Side.ASK, 6_300, 500)


@pytest.fixture
async def world(streams_url: str, connect: Connect, tmp_path: Path) -> AsyncIterator[World]:
    async with executor_world(streams_url, connect, tmp_path) as made:
        yield made


async def started(world: World) -> None:
    """Lift the halt that every installation is born with."""
    await world.resume()


async def test_quote_is_created_filled_moved_and_cancelled_and_all_sums_agree(world: World) -> None:
    await started(world)
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)

    await world.take(Side.ASK, "0.6000", "2.00")
    await eventually(lambda: executor.counter("fills") == 1)
    assert executor.engine.account.positions.qty_e2(world.market) == 200

    # The bid's rest is smaller than wanted now, and both sides move.
    await world.target(a_quote(Side.BID, 5_900, 300), a_quote(Side.ASK, 6_200, 300))
    await eventually(
        lambda: (
            {(o.side, o.price_e4, o.remaining_e2) for o in executor.engine.account.orders.live()}
            == {(Side.BID, 5_900, 300), (Side.ASK, 6_200, 300)}
        )
    )

    await world.target()
    await world.until_resting(0)
    await eventually(lambda: executor.engine.raw_residuals == (0, 0) and executor.engine._compared_ns > 0)
    assert executor.gauge("tick_to_order_us_p50") > 0
    assert (executor.counter("orphans"), executor.counter("duplicates")) == (0, 0)


async def test_every_request_has_its_intent_and_its_result_in_the_journal(world: World) -> None:
    await started(world)
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)
    await executor.stop()

    intents = {}
    async for message in world.bus.read(world.subjects.all_of("exec.intent")):
        intent = WireDecoder(IntentV1).decode(message.data)
        intents[intent.batch] = {item.client_order_id for item in intent.items}
    async for message in world.bus.read(world.subjects.all_of("exec.result")):
        result = WireDecoder(ResultV1).decode(message.data)
        assert {item.client_order_id for item in result.items} == intents.pop(result.batch)
    assert intents == {}


@pytest.mark.parametrize("fault", ["drop_response", "garbled", "foreign_echo", "error_after", "missing_item"])
async def test_create_without_a_proper_answer_is_found_and_never_sent_twice(world: World, fault: str) -> None:
    await started(world)
    executor = await world.start()
    await world.exchange.sim("faults", {"kind": fault, "match": "POST /portfolio/events/orders", "count": 1})
    await world.target(BID)
    await eventually(lambda: executor.counter("unknown") == 1)
    await eventually(lambda: executor.gauge("unknown_open") == 0)
    await world.until_resting(1)
    assert await world.orders_ever() == 1
    assert (executor.counter("orphans"), executor.counter("duplicates")) == (0, 0)


async def test_create_that_never_arrived_is_proven_absent_before_the_market_quotes_again(
    world: World,
) -> None:
    await started(world)
    executor = await world.start()
    await world.exchange.sim(
        "faults", {"kind": "drop_request", "match": "POST /portfolio/events/orders", "count": 1}
    )
    await world.target(BID)
    await eventually(lambda: executor.gauge("unknown_open") == 1)
    await world.target(BID, ASK)
    await eventually(lambda: executor.counter("held_market_quarantined") > 0)
    assert await world.resting() == []
    await eventually(lambda: executor.gauge("unknown_open") == 0)
    await world.until_resting(2)
    assert await world.orders_ever() == 2


@pytest.mark.parametrize("payload", [b"", b"fat finger", b'{"reason":"test"}', b"\xff{"])
async def test_any_halt_empties_the_book_and_only_a_resume_brings_quotes_back(
    world: World, payload: bytes
) -> None:
    await started(world)
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)

    await world.halt(payload)
    await world.until_resting(0)
    await eventually(lambda: executor.app._killer.last is not None and executor.app._killer.last.is_verified)
    assert executor.app.status().state == "halted"
    await world.target(BID, ASK)
    await asyncio.sleep(0.3)
    assert await world.resting() == []

    epoch = executor.gauge("epoch")
    await world.resume()
    await world.until_state(executor, "running")
    assert executor.gauge("epoch") == epoch + 1, "its groups are dead, so it is a new epoch"
    await world.target(BID, ASK)
    await world.until_resting(2)


async def test_halt_with_a_reply_is_answered_with_the_verified_word(world: World) -> None:
    await started(world)
    await world.start()
    await world.target(BID)
    await world.until_resting(1)
    replies: list[bytes] = []

    async def take(message: object) -> None:
        replies.append(message.data)  # type: ignore[attr-defined]

    await world.bus.each("_R.marketdata.halt-answers", take)
    await world.bus._client.publish(
        world.subjects.of("ctl.halt", "operator"), b"stop", reply="_R.marketdata.halt-answers"
    )
    await eventually(lambda: any(b'"is_verified":true' in reply for reply in replies))
    assert await world.resting() == []


async def test_restart_after_a_halt_stays_halted(world: World) -> None:
    await started(world)
    executor = await world.start()
    await world.halt()
    await world.until_state(executor, "halted")
    await executor.stop()
    again = await world.start(wait=False)
    await eventually(lambda: again.app.status().is_ready, 10)
    assert again.app.status().state == "halted"
    await world.target(BID)
    await asyncio.sleep(0.3)
    assert await world.orders_ever() == 0


async def test_gate_closed_for_long_withdraws_the_quotes_and_reopens_by_itself(world: World) -> None:
    await started(world)
    executor = await world.start()
    executor.engine.closed_cancel_ns = 500_000_000
    await world.target(BID)
    await world.until_resting(1)
    world.permits_flow = False
    await world.until_resting(0)
    assert executor.app.status().state == "cancel_only"
    world.permits_flow = True
    await world.until_state(executor, "running")
    await world.target(BID)
    await world.until_resting(1)


async def test_second_instance_stays_passive_and_takes_over_after_an_orderly_end(world: World) -> None:
    await started(world)
    first = await world.start(state="a")
    second = await world.start(state="b", wait=False)
    await world.target(BID)
    await world.until_resting(1)
    await asyncio.sleep(2)
    assert second.app.status().state == "standby"
    assert await world.orders_ever() == 1

    await first.stop()
    await world.until_resting(0)
    await world.until_state(second, "running", 5)
    await world.target(BID)
    await world.until_resting(1)
    assert second.gauge("epoch") == 2


async def test_crash_with_resting_orders_restarts_clean_with_every_fill_and_cent(world: World) -> None:
    await started(world)
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)
    await world.take(Side.ASK, "0.6000", "2.00")
    await eventually(lambda: executor.counter("fills") == 1)
    await executor.crash()
    # While nobody looks, one more fill happens.
    await world.take(Side.ASK, "0.6000", "1.00")

    again = await world.start()
    await world.until_resting(0)
    assert again.engine.account.positions.qty_e2(world.market) == 300
    assert again.counter("fills") == 2
    assert (again.counter("orphans"), again.counter("duplicates")) == (0, 0)
    await eventually(lambda: again.engine._compared_ns > 0)
    assert again.engine.raw_residuals == (0, 0)
    await world.target(BID, ASK)
    await world.until_resting(2)


async def test_restart_weeks_later_holds_what_the_venue_lists_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fills and ended orders leave the venue's listings after two weeks; the position does not."""
    await started(world)
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)
    await world.take(Side.ASK, "0.6000", "2.00")
    await eventually(lambda: executor.counter("fills") == 1)
    cost_e6, fees_e6 = executor.engine.account.positions.cost_e6(world.market), executor.gauge("fees_e6")
    fills, orders = VenueReader.fills, VenueReader.orders
    old = {fill.trade_id for fill in await fills(executor.app._polls._reader)}
    await executor.stop()

    async def recent_fills(self: VenueReader, min_ts: int | None = None, **more: Any) -> list[VenueFill]:
        return [fill for fill in await fills(self, min_ts, **more) if fill.trade_id not in old]

    async def recent_orders(self: VenueReader, status: str | None = None, **more: Any) -> list[VenueOrder]:
        return [one for one in await orders(self, status, **more) if one.status is VenueOrderStatus.RESTING]

    monkeypatch.setattr(VenueReader, "fills", recent_fills)
    monkeypatch.setattr(VenueReader, "orders", recent_orders)
    again = await world.start()
    assert again.engine.account.positions.qty_e2(world.market) == 200
    assert again.engine.account.positions.cost_e6(world.market) == cost_e6
    assert (again.gauge("fees_e6"), again.counter("fills")) == (fees_e6, 1)
    await eventually(lambda: again.engine._compared_ns > 0)
    assert again.engine.raw_residuals == (0, 0)
    records = [record async for record in world.bus.read(world.subjects.all_of("fill"))]
    assert len(records) == 1, "what is journalled is not told again"


async def test_standby_takes_no_order_of_the_leader_for_its_own_and_writes_nothing(world: World) -> None:
    await started(world)
    first = await world.start(state="a")
    second = await world.start(state="b", wait=False)
    await eventually(lambda: second.app.status().state == "standby")
    await asyncio.sleep(0.3)
    await world.target(BID, ASK)
    await world.until_resting(2)
    await world.take(Side.ASK, "0.6000", "2.00")
    await eventually(lambda: first.counter("fills") == 1)
    await asyncio.sleep(0.3)
    assert second.counter("orphans") == 0
    assert list(second.engine.account.orders.all()) == []
    records = [record async for record in world.bus.read(world.subjects.all_of("order"))]
    assert records
    assert {_ORDER.decode(record.data).epoch for record in records} == {1}
    versions = [(o.client_order_id, o.version) for o in (_ORDER.decode(r.data) for r in records)]
    assert len(versions) == len(set(versions))


async def test_orderly_end_cancels_although_a_takeover_waits_for_the_journal(world: World) -> None:
    await started(world)
    executor = await world.start()
    await world.target(BID, ASK)
    await world.until_resting(2)
    async with executor.app._is_at_work:
        executor.engine.account.gate.is_recovered = False
        ending = asyncio.create_task(executor.app.stop("the journal is away"))
        await world.until_resting(0)
    await ending


async def test_stale_leader_is_fenced_and_ends(world: World) -> None:
    """Somebody else claims, as a standby does after a long pause of the leader: not one more order leaves."""
    await started(world)
    executor = await world.start()
    await world.target(BID)
    await world.until_resting(1)
    subject = world.subjects.of("exec.epoch", "main")
    newest = await world.bus.last(subject)
    assert newest is not None
    rival = EpochV1(
        account="main", number=2, holder="rival", run="r", build="b", config_hash="c", started_ns=1
    )
    await world.bus.append(subject, encode(rival), msg_id="rival", fence=Fence(subject, newest.sequence))
    orders_before = await world.orders_ever()
    await world.target(a_quote(Side.BID, 5_800), ASK)
    with pytest.raises(BaseExceptionGroup) as ended:
        await asyncio.wait_for(executor.task, 5)
    assert ended.group_contains(FenceLost)
    assert await world.orders_ever() == orders_before


async def test_group_that_the_venue_triggers_leads_to_a_new_epoch_with_new_groups(world: World) -> None:
    await started(world)
    executor = await world.start()
    await world.target(BID)
    await world.until_resting(1)
    (group,) = executor.engine.account.groups.values()
    answer = await world.exchange.request("PUT", f"/portfolio/order_groups/{group}/trigger?exchange_index=0")
    assert answer.status_code == 200, answer.text
    await eventually(lambda: executor.gauge("epoch") == 2)
    await world.until_state(executor, "running")
    await world.target(BID)
    await world.until_resting(1)
    assert group not in executor.engine.account.groups.values()


async def test_orderly_end_leaves_nothing_resting_and_no_foreign_order_touched(world: World) -> None:
    await started(world)
    executor = await world.start()
    await world.exchange.order(world.market, "bid", "0.1000", client_order_id="somebody-else")
    await world.target(BID, ASK)
    await world.until_resting(3)
    await executor.stop()
    assert [order["client_order_id"] for order in await world.resting()] == ["somebody-else"]


async def test_malformed_messages_are_counted_and_change_nothing_while_endpoints_answer(world: World) -> None:
    await started(world)
    executor = await world.start()
    await executor.bus.serve("executor", executor.app.endpoints, {})
    await world.target(BID)
    await world.until_resting(1)
    for family, key in (("target", world.market), ("md.top", world.market), ("permit.risk", "main")):
        for garbage in (b"", b"{", b"[]", b'{"market":1}', b"\xff" * 1_000):
            await world.bus.publish(world.subjects.of(family, key), garbage)
    await eventually(lambda: executor.counter("malformed") >= 3)
    assert len(await world.resting()) == 1
    assert executor.app.status().state == "running"

    orders = await world.bus.request(world.subjects.of("svc", "executor", "orders"), b"")
    assert world.market.encode() in orders.data
    positions = await world.bus.request(world.subjects.of("svc", "executor", "positions"), b"")
    assert b'"fees_e6":0' in positions.data
    await world.target()
    cancelled = await world.bus.request(world.subjects.of("svc", "executor", "cancel_all"), b"")
    assert b'"cancels_sent"' in cancelled.data
    await world.until_resting(0)

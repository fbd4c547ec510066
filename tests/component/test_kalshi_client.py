"""Our client against the simulated venue over real sockets: every call there is, once, in a life's order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.budget import TokenBuckets
from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.feed import run_feed
from libs.common.kalshi.model import (
    Accepted,
    BookDelta,
    BookSnapshot,
    FeedClosed,
    FeedEvent,
    FeedHeard,
    FeedStale,
    GroupUpdate,
    OwnFill,
    OwnOrder,
    Refused,
    Unknown,
    VenueOrderStatus,
)
from libs.common.kalshi.order_sender import Amend, NewOrder, OrderSender
from libs.common.kalshi.presign import Presigner
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.session import FeedSession
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.clock import SystemClock
from tests.support.eventually import eventually
from tests.support.exchange import RunningExchange, running_exchange
from tests.support.recording import MARKET, busy_lines, write_recording

CLOCK = SystemClock()


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[RunningExchange]:
    """Yield an exchange whose one market stands still: bids 0.40, asks 0.60."""
    folder = write_recording(tmp_path / "tape", busy_lines(0))
    async with running_exchange(tmp_path, tape=str(folder)) as exchange:
        yield exchange


class Client:
    """All of our client, as the executor wires it."""

    def __init__(self, exchange: RunningExchange, deadline_s: float = 5.0) -> None:
        url = exchange.at.rest_url
        self.transports = [make_transport(url) for _ in range(3)]
        self.presigner = Presigner(exchange.signer(), CLOCK)
        self.sender = OrderSender(url, self.transports[0], self.presigner, CLOCK, deadline_s=deadline_s)
        self.canceller = Canceller(url, self.transports[1], self.presigner, CLOCK)
        self.reader = VenueReader(url, self.transports[2], self.presigner, CLOCK)
        self.presigner.watch(*self.sender.constant_routes, *self.canceller.constant_routes)

    async def close(self) -> None:
        for transport in self.transports:
            await transport.aclose()


@pytest.fixture
async def client(quiet: RunningExchange) -> AsyncIterator[Client]:
    made = Client(quiet)
    with made.presigner:
        yield made
    await made.close()


@contextlib.asynccontextmanager
async def hearing(
    exchange: RunningExchange, *channels: str, markets: tuple[str, ...] = ()
) -> AsyncIterator[tuple[list[FeedEvent], FeedSession]]:
    heard: list[FeedEvent] = []
    session = FeedSession(channels)
    task = asyncio.create_task(
        run_feed(
            exchange.at.ws_url,
            exchange.signer(),
            session,
            lambda events, _: heard.extend(events),
            CLOCK,
            markets=markets or None,
        )
    )
    await eventually(lambda: session._desk.by_sid and len(session._desk.by_sid) == len(channels))
    try:
        yield heard, session
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def order(number: int, **changes: object) -> NewOrder:
    fields: dict[str, object] = {
        "market": MARKET,
        "shard": 0,
        "client_order_id": f"dora-sim-1-1-{number}-deadbeef",
        "side": Side.BID,
        "price_e4": 3_000 + number * 100,
        "qty_e2": 1_000,
        "post_only": True,
    }
    return NewOrder(**(fields | changes))  # type: ignore[arg-type]


async def test_an_orders_life_is_told_alike_by_answers_listings_and_the_feed(
    quiet: RunningExchange, client: Client
) -> None:
    shard = (await client.reader.market(MARKET)).shard
    group = await client.sender.create_order_group(100_000, shard)
    client.presigner.watch(client.canceller.trigger_route(group))
    async with hearing(quiet, "user_orders", "fill", "order_group_updates") as (heard, session):
        created = await client.sender.create(order(0, shard=shard, order_group_id=group))
        assert isinstance(created, Accepted)
        assert (created.remaining_e2, created.filled_e2) == (1_000, 0)

        again = await client.sender.create(order(0, shard=shard, order_group_id=group))
        assert isinstance(again, Refused)
        assert (again.status, again.code) == (409, "order_already_exists")

        crossing = await client.sender.create(order(1, shard=shard, price_e4=6_500))
        assert isinstance(crossing, Refused)
        assert "post only cross" in crossing.message

        decreased = await client.sender.decrease(created.order_id, MARKET, shard, reduce_by_e2=200)
        assert isinstance(decreased, Accepted)
        assert decreased.remaining_e2 == 800

        change = Amend(
            created.order_id,
            created.client_order_id,
            MARKET,
            shard,
            Side.BID,
            price_e4=3_500,
            total_e2=900,
        )
        amended = await client.sender.amend(change)
        assert isinstance(amended, Accepted)
        assert amended.order_id == created.order_id

        listed = await client.reader.orders(status="resting")
        assert [(o.order_id, o.price_e4, o.remaining_e2) for o in listed] == [(created.order_id, 3_500, 900)]
        one = await client.reader.order(created.order_id)
        assert one is not None
        assert one.order_group_id == group
        assert set(await client.reader.queue_positions([MARKET])) == {created.order_id}
        grouped = await client.reader.order_group(group)
        assert grouped is not None
        assert grouped.order_ids == (created.order_id,)

        assert isinstance(await client.canceller.cancel(created.order_id, MARKET, shard), Accepted)
        gone = await client.canceller.cancel(created.order_id, MARKET, shard)
        assert isinstance(gone, Refused)
        assert (gone.status, gone.code) == (404, "not_found")

        await eventually(
            lambda: any(
                isinstance(e, OwnOrder) and e.order.status is VenueOrderStatus.CANCELED for e in heard
            )
        )
        told = [e.order for e in heard if isinstance(e, OwnOrder) and e.order.order_id == created.order_id]
        assert told[0].remaining_e2 == 1_000
        assert {o.client_order_id for o in told} == {created.client_order_id}
        assert not session.faults

        assert isinstance(await client.canceller.trigger_group(group, shard), Accepted)
        await eventually(
            lambda: any(isinstance(e, GroupUpdate) and e.event_type == "triggered" for e in heard)
        )
        blocked = await client.sender.create(order(5, shard=shard, order_group_id=group))
        assert isinstance(blocked, Refused)


async def test_batches_have_one_outcome_an_item_and_cancel_all_leaves_nothing(
    quiet: RunningExchange, client: Client
) -> None:
    shard = (await client.reader.market(MARKET)).shard
    orders = [order(n, shard=shard, price_e4=(6_500 if n == 2 else 3_000 + n * 100)) for n in range(5)]

    outcomes = await client.sender.create_batch(orders)

    assert [type(o) for o in outcomes] == [Accepted, Accepted, Refused, Accepted, Accepted]
    ids = [o.order_id for o in outcomes if isinstance(o, Accepted)]
    cancelled = await client.canceller.cancel_batch(
        [(ids[0], MARKET, shard), ("2597b999-f887-4195-8bac-c3f97a1f2021", MARKET, shard)]
    )
    assert [type(o) for o in cancelled] == [Accepted, Refused]
    assert isinstance(await client.canceller.cancel_all(), Accepted)
    assert await client.reader.orders(status="resting") == []
    assert client.presigner.inline_total == 0


async def test_a_fill_is_the_same_on_the_feed_and_in_the_listing_and_moves_cash_and_position(
    quiet: RunningExchange, client: Client
) -> None:
    shard = (await client.reader.market(MARKET)).shard
    before = await client.reader.balance()
    async with hearing(quiet, "fill", "user_orders", "market_positions") as (heard, _):
        taken = await client.sender.create(
            order(0, shard=shard, price_e4=6_000, qty_e2=150, post_only=False, tif="immediate_or_cancel")
        )
        assert isinstance(taken, Accepted)
        assert taken.filled_e2 == 150
        await eventually(lambda: any(isinstance(e, OwnFill) for e in heard))

    told = next(e.fill for e in heard if isinstance(e, OwnFill))
    listed = (await client.reader.fills(order_id=taken.order_id))[0]
    assert (told.trade_id, told.order_id, told.side) == (listed.trade_id, listed.order_id, Side.BID)
    assert (told.price_e4, told.qty_e2, told.fee_e6) == (listed.price_e4, listed.qty_e2, listed.fee_e6)
    assert told.is_taker
    assert listed.is_taker
    assert [(p.market, p.qty_e2) for p in await client.reader.positions()] == [(MARKET, 150)]
    after = await client.reader.balance()
    assert before.total_e6 - after.total_e6 == told.price_e4 * told.qty_e2 + told.fee_e6


async def test_reference_data_limits_and_costs_are_read(quiet: RunningExchange, client: Client) -> None:
    market = await client.reader.market(MARKET)
    assert market.market in {m.market for m in await client.reader.markets()}
    event = await client.reader.event(market.event)
    assert [m.market for m in event.markets] == [MARKET]
    assert event.event in {e.event for e in await client.reader.events()}
    assert (await client.reader.series(event.series)).series == event.series
    assert (await client.reader.exchange_status()).by_shard[market.shard] == (True, True)
    book = await client.reader.orderbook(MARKET)
    assert (book.bids[0][0], book.asks[0][0]) == (4_000, 6_000)
    limits, costs = await client.reader.limits(), await client.reader.endpoint_costs()
    client.reader.use_limits(limits, costs)
    buckets = TokenBuckets(limits, costs, CLOCK.mono_ns())
    # What is kept: a group trigger (10) and twenty cancels (2 each), and the mirror stays 50 ms behind.
    assert buckets.spendable_max() == limits.write.capacity - 50 - limits.write.refill_per_s // 20
    assert await client.reader.settlements() == []
    assert await client.reader.order_groups() == []


async def test_books_and_the_venues_time_arrive_and_an_own_order_moves_the_book(
    quiet: RunningExchange, client: Client
) -> None:
    shard = (await client.reader.market(MARKET)).shard
    async with hearing(quiet, "orderbook_delta", "trade", markets=(MARKET,)) as (heard, session):
        await eventually(lambda: any(isinstance(e, BookSnapshot) for e in heard))
        snapshot = next(e for e in heard if isinstance(e, BookSnapshot))
        assert (snapshot.bids[0][0], snapshot.asks[0][0]) == (4_000, 6_000)

        await client.sender.create(order(0, shard=shard, side=Side.ASK, price_e4=5_500, qty_e2=777))
        await eventually(lambda: any(isinstance(e, BookDelta) and e.price_e4 == 5_500 for e in heard))

        change = next(e for e in heard if isinstance(e, BookDelta) and e.price_e4 == 5_500)
        assert (change.side, change.change_e2) == (Side.ASK, 777)
        await eventually(lambda: len([e for e in heard if isinstance(e, FeedHeard)]) >= 2)
        assert not session.faults


@pytest.mark.parametrize("fault", ["ws_disconnect", "ws_seq_gap", "ws_overflow"])
async def test_books_go_stale_and_come_back_whatever_happens_to_the_feed(
    quiet: RunningExchange, client: Client, fault: str
) -> None:
    async with hearing(quiet, "orderbook_delta", "trade", markets=(MARKET,)) as (heard, session):
        await eventually(lambda: any(isinstance(e, BookSnapshot) for e in heard))
        heard.clear()

        await quiet.sim("faults", {"kind": fault})
        # A gap needs a message that shows it.
        assert isinstance(await client.sender.create(order(1)), Accepted)

        await eventually(lambda: any(isinstance(e, BookSnapshot) for e in heard))
        # A second order proves that the new subscription counts from its own start.
        assert isinstance(await client.sender.create(order(2)), Accepted)
        await eventually(lambda: any(isinstance(e, BookDelta) and e.price_e4 == 3_200 for e in heard))

    kinds = [type(e) for e in heard if not isinstance(e, FeedHeard)]
    lost = FeedClosed if fault == "ws_disconnect" else FeedStale
    assert kinds.index(lost) < kinds.index(BookSnapshot)
    assert session.failure is None


@pytest.mark.parametrize(
    ("fault", "outcome", "lives"),
    [
        ({"kind": "drop_response"}, Unknown(0, "connection"), True),
        ({"kind": "drop_request"}, Unknown(0, "connection"), False),
        ({"kind": "error_after", "status": 502}, Unknown(502, "server_error"), True),
        ({"kind": "error_before", "status": 503}, Unknown(503, "server_error"), False),
        ({"kind": "foreign_echo"}, Unknown(201, "foreign_echo"), True),
        ({"kind": "garbled"}, Unknown(201, "unparseable"), True),
        ({"kind": "delay", "seconds": 1.0}, Unknown(0, "timeout"), True),
        ({"kind": "delay_before", "seconds": 1.0}, Unknown(0, "timeout"), True),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
async def test_a_lost_answer_is_unknown_whether_the_order_lives_or_not(
    quiet: RunningExchange, fault: dict[str, object], outcome: Unknown, *, lives: bool
) -> None:
    client = Client(quiet, deadline_s=0.3)
    await quiet.sim("faults", {"match": "POST /portfolio/events/orders", **fault})

    assert await client.sender.create(order(0)) == outcome

    if lives:
        await eventually(lambda: client.reader.orders(status="resting"))
        again = await client.sender.create(order(0))
        assert isinstance(again, Refused)
        assert again.code == "order_already_exists"
    else:
        assert await client.reader.orders() == []
    await client.close()


async def test_faults_of_a_batch_are_kept_apart(quiet: RunningExchange, client: Client) -> None:
    await quiet.sim("faults", {"kind": "missing_item", "match": "POST /portfolio/events/orders/batched"})
    outcomes = await client.sender.create_batch([order(1), order(2)])
    assert isinstance(outcomes[0], Accepted)
    assert outcomes[1] == Unknown(201, "missing_item")

    await quiet.sim("faults", {"kind": "rate_limit", "match": "POST /portfolio/events/orders/batched"})
    limited = await client.sender.create_batch([order(3), order(4)])
    assert all(isinstance(o, Refused) and o.is_rate_limit for o in limited)
    assert len(await client.reader.orders(status="resting")) == 2

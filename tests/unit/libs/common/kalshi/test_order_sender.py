import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import Accepted, Refused, Unknown
from libs.common.kalshi.order_sender import Amend, NewOrder, OrderSender, Unsent
from libs.common.kalshi.presign import Presigner
from libs.common.kalshi.signing import KEY_HEADER, SIGNATURE_HEADER, STAMP_HEADER, Signer
from libs.common.kalshi.transport import LeanTransport, make_transport
from libs.common.runtime.clock import ManualClock, SystemClock
from libs.common.runtime.errors import VenueProtocolError, VenueRefused, VenueUnavailable
from tests.support.scripted_http import DROP, HANG, ScriptedHttp, Seen, always, answer, scripted_http
from tests.unit.libs.common.kalshi.test_signing import ED25519_PEM

ORDER = NewOrder(
    market="KXHIGHNY-26NOV21-B52.5",
    shard=2,
    client_order_id="dora-sim-1-1-0-deadbeef",
    side=Side.BID,
    price_e4=5_600,
    qty_e2=1_000,
    post_only=True,
    expires_ms=1_700_000_123_999,
    order_group_id="g1",
)


def accepting(seen: Seen) -> bytes:
    def one(item: dict[str, Any]) -> dict[str, Any]:
        return {
            "order_id": f"venue-{item['client_order_id']}",
            "client_order_id": item["client_order_id"],
            "fill_count": "0.00",
            "remaining_count": item["count"],
            "ts_ms": 1_700_000_000_001,
        }

    if seen.path.endswith("/batched"):
        return answer(201, {"orders": [one(item) for item in reversed(seen.json["orders"])]})
    return answer(201, one(seen.json))


@pytest.fixture
async def http() -> AsyncIterator[ScriptedHttp]:
    async with scripted_http(accepting) as running:
        yield running


@pytest.fixture
async def sender(http: ScriptedHttp) -> AsyncIterator[OrderSender]:
    transport = make_transport(http.url)
    yield sender_over(http.url, transport)
    await transport.aclose()


def sender_over(url: str, transport: httpx.AsyncBaseTransport, deadline_s: float = 5.0) -> OrderSender:
    return OrderSender(
        url, transport, Signer.from_pem("key-1", ED25519_PEM), ManualClock(), deadline_s=deadline_s
    )


async def test_a_create_sends_strings_and_states_all_that_has_no_default(
    http: ScriptedHttp, sender: OrderSender
) -> None:
    outcome = await sender.create(ORDER)

    assert outcome == Accepted(
        "venue-dora-sim-1-1-0-deadbeef", "dora-sim-1-1-0-deadbeef", 0, 1_000, 0, 1_700_000_000_001
    )
    seen = http.seen[0]
    assert (seen.method, seen.target) == ("POST", "/trade-api/v2/portfolio/events/orders")
    assert seen.headers["content-type"] == "application/json"
    assert seen.json == {
        "ticker": "KXHIGHNY-26NOV21-B52.5",
        "side": "bid",
        "count": "10.00",
        "price": "0.5600",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "exchange_index": 2,
        "client_order_id": "dora-sim-1-1-0-deadbeef",
        "expiration_time": 1_700_000_123,
        "post_only": True,
        "order_group_id": "g1",
    }


async def test_shard_zero_is_named_like_any_other(http: ScriptedHttp, sender: OrderSender) -> None:
    await sender.create(replace(ORDER, shard=0))

    assert http.seen[0].json["exchange_index"] == 0


async def test_a_request_is_signed_for_its_path_without_body(http: ScriptedHttp, sender: OrderSender) -> None:
    await sender.create(ORDER)

    now_ms = ManualClock().now_ns() // 1_000_000
    signed = Signer.from_pem("key-1", ED25519_PEM).headers(
        "POST", "/trade-api/v2/portfolio/events/orders", now_ms
    )
    for name in (KEY_HEADER, STAMP_HEADER, SIGNATURE_HEADER):
        assert http.seen[0].headers[name.lower()] == signed[name]


async def test_headers_signed_ahead_are_used_for_the_constant_routes(http: ScriptedHttp) -> None:
    transport, clock = make_transport(http.url), SystemClock()
    with Presigner(Signer.from_pem("key-1", ED25519_PEM), clock) as presigner:
        sender = OrderSender(http.url, transport, presigner, clock)
        presigner.watch(*sender.constant_routes)
        presigner.refresh()
        assert isinstance(await sender.create(ORDER), Accepted)
        await sender.create_batch([ORDER])
        assert presigner.inline_total == 0
    await transport.aclose()


async def test_a_change_that_is_not_signed_yet_waits_for_the_thread_and_its_guard_is_asked_after_that(
    http: ScriptedHttp,
) -> None:
    transport, clock, waits = make_transport(http.url), SystemClock(), list[int]()
    with Presigner(Signer.from_pem("key-1", ED25519_PEM), clock) as presigner:
        sender = OrderSender(http.url, transport, presigner, clock)
        presigner.watch(*sender.constant_routes)

        def guard() -> str | None:
            waits.append(presigner.waits_total)
            return None

        for _ in range(100):  # a thread may have signed it before it is asked for
            presigner.unwatch(sender.change_routes("o/1").amend)
            presigner.watch(sender.change_routes("o/1").amend)
            await sender.amend(amend(), guard=guard)
            if presigner.waits_total:
                break
        assert waits[-1] == presigner.waits_total
        assert presigner.inline_total == 0
    await transport.aclose()


async def test_batch_outcomes_come_in_the_order_asked_whatever_the_order_answered(
    http: ScriptedHttp, sender: OrderSender
) -> None:
    orders = [replace(ORDER, client_order_id=f"c{n}", qty_e2=100 + n) for n in range(3)]

    outcomes = await sender.create_batch(orders)

    assert [o.client_order_id for o in outcomes if isinstance(o, Accepted)] == ["c0", "c1", "c2"]
    assert [o.remaining_e2 for o in outcomes if isinstance(o, Accepted)] == [100, 101, 102]
    assert len(http.seen) == 1


async def test_the_guard_stops_a_create_before_any_byte_leaves(
    http: ScriptedHttp, sender: OrderSender
) -> None:
    left: list[int] = []

    assert await sender.create(ORDER, guard=lambda: "halted", on_wire=left.append) == Unsent("halted")
    assert await sender.create_batch([ORDER], guard=lambda: "halted") == [Unsent("halted")]
    amended = await sender.amend(amend(), guard=lambda: "halted")
    assert amended == Unsent("halted")
    assert http.seen == []
    assert left == []


async def test_on_wire_is_told_once_when_the_bytes_leave(http: ScriptedHttp, sender: OrderSender) -> None:
    left: list[int] = []
    before = SystemClock().mono_ns()

    await sender.create(ORDER, guard=lambda: None, on_wire=left.append)

    assert len(left) == 1
    assert before <= left[0] <= SystemClock().mono_ns()


def amend(**changes: Any) -> Amend:
    return replace(
        Amend("o/1", "c1", "M", 3, Side.ASK, price_e4=9_990, total_e2=250, expires_ms=None), **changes
    )


async def test_an_amend_names_order_market_side_and_total(http: ScriptedHttp, sender: OrderSender) -> None:
    http.script = lambda _: answer(200, {"order_id": "o/1", "client_order_id": "c1", "ts_ms": 1})

    outcome = await sender.amend(amend(expires_ms=0))

    assert outcome == Accepted("o/1", "c1", 0, 0, 0, 1, has_remaining=False)
    assert http.seen[0].target == "/trade-api/v2/portfolio/events/orders/o%2F1/amend"
    assert http.seen[0].json == {
        "ticker": "M",
        "side": "ask",
        "price": "0.9990",
        "count": "2.50",
        "exchange_index": 3,
        "client_order_id": "c1",
        "expiration_time": 0,
    }


async def test_an_amend_that_keeps_the_expiry_does_not_mention_it(
    http: ScriptedHttp, sender: OrderSender
) -> None:
    http.script = lambda _: answer(200, {"order_id": "o/1", "remaining_count": "2.00"})

    assert await sender.amend(amend()) == Accepted("o/1", "c1", 0, 200, 0, 0)
    assert "expiration_time" not in http.seen[0].json


async def test_a_decrease_says_how_much_shall_go(http: ScriptedHttp, sender: OrderSender) -> None:
    http.script = lambda _: answer(200, {"order_id": "o1", "remaining_count": "1.50", "ts_ms": 1})

    assert await sender.decrease("o1", "M", 3, reduce_by_e2=350) == Accepted("o1", "", 0, 150, 0, 1)
    assert http.seen[0].target == "/trade-api/v2/portfolio/events/orders/o1/decrease"
    assert http.seen[0].json == {"exchange_index": 3, "market_ticker": "M", "reduce_by": "3.50"}


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (HANG, Unknown(0, "timeout")),
        (DROP, Unknown(0, "connection")),
        (b"garbage\r\n\r\n", Unknown(0, "connection")),
        (answer(502, b"<html>"), Unknown(502, "server_error")),
        (answer(201, b""), Unknown(201, "unparseable")),
        (
            answer(409, {"error": {"code": "order_already_exists", "message": "m"}}),
            Refused(409, "order_already_exists", "m"),
        ),
    ],
)
async def test_nothing_is_sent_twice_whatever_comes_back(
    http: ScriptedHttp, said: bytes, outcome: Unknown | Refused
) -> None:
    http.script = lambda _: said
    transport = make_transport(http.url)
    sender = sender_over(http.url, transport, deadline_s=0.1)

    assert await sender.create(ORDER) == outcome
    assert await sender.create_batch([ORDER, replace(ORDER, client_order_id="c2")]) == [outcome] * 2
    assert len(http.seen) == 2
    await transport.aclose()


async def test_stamp_that_the_venue_finds_too_old_is_signed_anew_once_past_the_guard_again(
    http: ScriptedHttp,
) -> None:
    """It is refused before it is looked at, so the second request is no repeat; but only one is made."""
    old = answer(401, {"error": {"code": "header_timestamp_expired", "message": "m"}})
    asked: list[int] = []
    transport, clock = make_transport(http.url), ManualClock()
    presigner = Presigner(Signer.from_pem("key-1", ED25519_PEM), clock)
    sender = OrderSender(http.url, transport, presigner, clock)
    presigner.watch(*sender.constant_routes)
    presigner.refresh()
    clock.advance(3_000_000_000)

    http.script = lambda _: old if len(http.seen) == 1 else answer(201, {"order_id": "o1"})
    await sender.create(ORDER, guard=lambda: asked.append(1))
    stamps = [int(seen.headers[STAMP_HEADER.lower()]) for seen in http.seen]
    assert (len(stamps), stamps[1] - stamps[0], len(asked)) == (2, 3_000, 2)

    http.script = lambda _: old
    assert await sender.create(ORDER) == Refused(401, "header_timestamp_expired", "m")
    assert len(http.seen) == 4
    await transport.aclose()


async def test_without_a_connection_nothing_was_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/trade-api/v2"
        sender = sender_over(url, make_transport(url))

        assert await sender.create(ORDER) == Unsent("connect_failed")
        with pytest.raises(VenueUnavailable):
            await sender.create_order_group(100, 0)


async def test_a_cancelled_send_does_not_disturb_the_next(http: ScriptedHttp) -> None:
    transport = make_transport(http.url, connections_max=1)
    sender = sender_over(http.url, transport)
    http.script = lambda _: HANG
    sending = asyncio.create_task(sender.create(ORDER))
    while not http.seen:
        await asyncio.sleep(0)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    http.script = accepting

    assert isinstance(await sender.create(replace(ORDER, client_order_id="c2")), Accepted)
    await transport.aclose()


async def test_an_order_group_is_made_on_its_shard(http: ScriptedHttp, sender: OrderSender) -> None:
    http.script = lambda _: answer(201, {"order_group_id": "g9", "subaccount": 0})

    assert await sender.create_order_group(15_000, 2) == "g9"
    assert http.seen[0].target == "/trade-api/v2/portfolio/order_groups/create"
    assert http.seen[0].json == {"contracts_limit_fp": "150.00", "exchange_index": 2}

    for said, error in [
        (answer(201, {}), VenueProtocolError),
        (answer(201, {"order_group_id": ""}), VenueProtocolError),
        (answer(500), VenueUnavailable),
        (answer(400, {"code": "bad_request", "message": "m"}), VenueRefused),
    ]:
        http.script = always(said)
        with pytest.raises(error):
            await sender.create_order_group(15_000, 2)


async def test_a_stock_httpx_transport_serves_as_well() -> None:
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ReadError("reset")

    sender = sender_over("https://venue.invalid/trade-api/v2", httpx.MockTransport(handle))

    assert await sender.create(ORDER) == Unknown(0, "connection")
    assert await sender.create(ORDER, guard=lambda: "halted") == Unsent("halted")
    assert [str(r.url) for r in asked] == ["https://venue.invalid/trade-api/v2/portfolio/events/orders"]
    assert asked[0].headers["content-type"] == "application/json"


def test_the_transport_can_be_told_apart() -> None:
    assert isinstance(make_transport("http://127.0.0.1:1/trade-api/v2"), LeanTransport)


async def test_over_a_stock_transport_the_answer_and_the_hook_are_the_same() -> None:
    left: list[int] = []
    accepted = {
        "order_id": "o1",
        "client_order_id": ORDER.client_order_id,
        "fill_count": "0.00",
        "remaining_count": "10.00",
    }
    transport = httpx.MockTransport(lambda _: httpx.Response(201, json=accepted))
    sender = sender_over("https://venue.invalid/trade-api/v2", transport)

    assert await sender.create(ORDER, on_wire=left.append) == Accepted(
        "o1", ORDER.client_order_id, 0, 1_000, 0, 0
    )
    assert len(left) == 1

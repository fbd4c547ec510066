from collections.abc import AsyncIterator
from typing import Any

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import AccountLimits, Bucket, ExchangeStatus, VenueBalance, VenueOrderStatus
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.signing import STAMP_HEADER, Signer
from libs.common.kalshi.token_bucket import TokenBucket
from libs.common.kalshi.transport import make_transport
from libs.common.messages.market import MarketState
from libs.common.runtime.clock import SystemClock
from libs.common.runtime.errors import VenueProtocolError, VenueRefused, VenueUnavailable
from tests.support.scripted_http import DROP, HANG, ScriptedHttp, Seen, always, answer, scripted_http
from tests.unit.libs.common.kalshi.test_signing import ED25519_PEM

NOT_FOUND = {"error": {"code": "not_found", "message": "not found"}}


def order(order_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "client_order_id": "c",
        "ticker": "M",
        "book_side": "ask",
        "status": "resting",
        "yes_price_dollars": "0.0100",
        "initial_count_fp": "1.00",
        "fill_count_fp": "0.00",
        "remaining_count_fp": "1.00",
        "exchange_index": 2,
        "created_time": "2026-06-11T06:29:20.866753Z",
        "a_field_of_next_year": [],
    } | changes


@pytest.fixture
async def http() -> AsyncIterator[ScriptedHttp]:
    async with scripted_http(lambda _: answer(200, {})) as running:
        yield running


@pytest.fixture
async def reader(http: ScriptedHttp) -> AsyncIterator[VenueReader]:
    transport, clock = make_transport(http.url), SystemClock()
    fast = TokenBucket(Bucket(1_000_000, 1_000_000), clock.mono_ns())
    yield VenueReader(
        http.url,
        transport,
        Signer.from_pem("k", ED25519_PEM),
        clock,
        budget=fast,
        deadline_s=0.2,
        jitter=lambda: 0.0,
    )
    await transport.aclose()


async def test_pages_are_followed_with_the_same_filters_until_the_cursor_is_empty(
    http: ScriptedHttp, reader: VenueReader
) -> None:
    cursors = {"": "p 2", "p+2": "p3", "p3": ""}

    def script(seen: Seen) -> bytes:
        cursor = dict(x.split("=") for x in seen.query.split("&")).get("cursor", "")
        return answer(200, {"orders": [order(f"o{len(http.seen)}")], "cursor": cursors[cursor]})

    http.script = script

    orders = await reader.orders(status="resting", market="M")

    assert [o.order_id for o in orders] == ["o1", "o2", "o3"]
    assert all("limit=1000&status=resting&ticker=M" in s.query for s in http.seen)
    assert (orders[0].side, orders[0].shard, orders[0].status) == (Side.ASK, 2, VenueOrderStatus.RESTING)
    assert all(STAMP_HEADER.lower() in s.headers for s in http.seen)


async def test_first_page_that_is_short_and_not_the_last_is_followed_before_anybody_calls_it_all(
    http: ScriptedHttp, reader: VenueReader
) -> None:
    def script(seen: Seen) -> bytes:
        return answer(
            200, {"orders": [order("o2")]} if "cursor=" in seen.query else {"orders": [], "cursor": "p2"}
        )

    http.script = script
    assert [one.order_id for one in await reader.resting(2, most=200)] == ["o2"]
    http.script = lambda _: answer(200, {"orders": [order(f"o{n}") for n in range(3)], "cursor": "more"})
    assert len(await reader.resting(2, most=3)) == 3, "a full one is all that was asked for"


async def test_a_cursor_that_comes_again_is_a_broken_protocol_and_not_an_endless_loop(
    http: ScriptedHttp, reader: VenueReader
) -> None:
    http.script = lambda _: answer(200, {"fills": [], "cursor": "same"})

    with pytest.raises(VenueProtocolError, match="cursor"):
        await reader.fills()
    assert len(http.seen) == 2


async def test_empty_lists_come_as_absent_null_or_empty(http: ScriptedHttp, reader: VenueReader) -> None:
    forms: list[dict[str, Any]] = [{}, {"orders": None}, {"orders": [], "cursor": None}]
    for said in forms:
        http.script = always(answer(200, said))
        assert await reader.orders() == []


@pytest.mark.parametrize(
    "first", [answer(503), answer(502, b"<html>"), DROP, HANG, answer(429, {"error": "too many requests"})]
)
async def test_a_read_is_repeated_once_after_a_failure_that_may_pass(
    http: ScriptedHttp, reader: VenueReader, first: bytes
) -> None:
    http.script = lambda _: first if len(http.seen) == 1 else answer(200, {"order": order("o1")})

    found = await reader.order("o1")

    assert found is not None
    assert len(http.seen) == 2
    assert sum(reader.faults.values()) == 1


async def test_a_read_is_not_repeated_for_ever(http: ScriptedHttp, reader: VenueReader) -> None:
    http.script = lambda _: answer(503)

    with pytest.raises(VenueUnavailable, match="503"):
        await reader.limits()
    assert len(http.seen) == 2


async def test_a_refusal_is_not_repeated_and_keeps_its_code(http: ScriptedHttp, reader: VenueReader) -> None:
    http.script = lambda _: answer(401, {"error": {"code": "authentication_error", "message": "m"}})

    with pytest.raises(VenueRefused) as refused:
        await reader.positions()
    assert (refused.value.status, refused.value.code) == (401, "authentication_error")
    assert len(http.seen) == 1


async def test_what_the_venue_does_not_know_is_none_for_orders_and_groups(
    http: ScriptedHttp, reader: VenueReader
) -> None:
    http.script = lambda _: answer(404, NOT_FOUND)

    assert await reader.order("o1") is None
    assert await reader.order_group("g1") is None
    with pytest.raises(VenueRefused):
        await reader.market("M")


@pytest.mark.parametrize(
    "said",
    [
        b"<html>",
        {"order": {}},
        {"order": order("o", book_side="up")},
        {"order": order("o", fill_count_fp="x")},
    ],
)
async def test_a_body_that_lacks_what_is_needed_is_a_broken_protocol(
    http: ScriptedHttp, reader: VenueReader, said: Any
) -> None:
    http.script = lambda _: answer(200, said)

    with pytest.raises(VenueProtocolError):
        await reader.order("o")


async def test_reads_wait_for_their_tokens(http: ScriptedHttp) -> None:
    transport, clock = make_transport(http.url), SystemClock()
    reader = VenueReader(
        http.url, transport, None, clock, budget=TokenBucket(Bucket(100, 100), clock.mono_ns())
    )
    began_ns = clock.mono_ns()

    await reader.order_groups()
    await reader.order_groups()

    assert clock.mono_ns() - began_ns >= 200_000_000
    assert STAMP_HEADER.lower() not in http.seen[0].headers
    await transport.aclose()


async def test_the_exchanges_status_is_read_from_errors_too(http: ScriptedHttp, reader: VenueReader) -> None:
    shard = {"exchange_index": 2, "exchange_active": True, "trading_active": False, "description": "x"}
    body = {"exchange_active": True, "trading_active": True, "exchange_index_statuses": [shard]}
    http.script = lambda _: answer(503, body)

    assert await reader.exchange_status() == ExchangeStatus(True, True, {0: (True, True), 2: (True, False)})

    http.script = lambda _: answer(503, b"<html>")
    with pytest.raises(VenueUnavailable):
        await reader.exchange_status()


async def test_an_event_brings_its_markets_from_either_place(http: ScriptedHttp, reader: VenueReader) -> None:
    market = {
        "ticker": "M",
        "event_ticker": "E",
        "status": "a_new_word",
        "open_time": "2026-06-11T05:39:29Z",
        "close_time": "2026-06-25T16:00:00Z",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "result": "",
    }
    event = {
        "event_ticker": "E",
        "series_ticker": "S",
        "mutually_exclusive": True,
        "fee_multiplier_override": 0.5,
    }
    for said in ({"event": {**event, "markets": [market]}}, {"event": event, "markets": [market]}):
        http.script = always(answer(200, said))
        found = await reader.event("E")
        assert (found.series, found.fee_multiplier_override_e4) == ("S", 5_000)
        assert [(m.market, m.state, m.shard) for m in found.markets] == [("M", MarketState.UNKNOWN, 0)]
    assert http.seen[0].query == "with_nested_markets=true"


async def test_queue_positions_and_groups_come_in_our_units(http: ScriptedHttp, reader: VenueReader) -> None:
    http.script = lambda _: answer(
        200, {"queue_positions": [{"order_id": "o", "market_ticker": "M", "queue_position_fp": "12.00"}]}
    )
    assert await reader.queue_positions(["M", "N"]) == {"o": 1_200}
    assert http.seen[0].query == "market_tickers=M%2CN"

    http.script = lambda _: answer(
        200,
        {
            "order_groups": [
                {
                    "id": "g",
                    "contracts_limit_fp": "150.00",
                    "is_auto_cancel_enabled": True,
                    "exchange_index": 2,
                }
            ]
        },
    )
    groups = await reader.order_groups()
    assert [(g.order_group_id, g.limit_e2, g.shard) for g in groups] == [("g", 15_000, 2)]

    http.script = lambda _: answer(200, {"is_auto_cancel_enabled": False, "orders": ["o1"]})
    group = await reader.order_group("g")
    assert group is not None
    assert (group.order_group_id, group.order_ids) == ("g", ("o1",))


async def test_balance_is_read_in_exact_dollars_by_shard(http: ScriptedHttp, reader: VenueReader) -> None:
    http.script = lambda _: answer(
        200,
        {
            "balance": 9_801,
            "balance_dollars": "98.0186",
            "portfolio_value": 1,
            "updated_ts": 7,
            "balance_breakdown": [{"exchange_index": 2, "balance": "98.0186"}],
        },
    )

    assert await reader.balance() == VenueBalance(98_018_600, {2: 98_018_600}, 7_000)


async def test_limits_that_cannot_be_are_a_broken_protocol(http: ScriptedHttp, reader: VenueReader) -> None:
    bucket = {"refill_rate": 0, "bucket_capacity": 10}
    http.script = lambda _: answer(200, {"usage_tier": "x", "read": bucket, "write": bucket})
    with pytest.raises(VenueProtocolError):
        await reader.limits()

    reader.use_limits(AccountLimits("premier", Bucket(1_200, 1_200), Bucket(1_200, 3_600)))
    assert reader._bucket.rate == 1_200


async def test_fills_settlements_and_trades_are_read_page_by_page(
    http: ScriptedHttp, reader: VenueReader
) -> None:
    fill = {
        "trade_id": "t",
        "fill_id": "t",
        "order_id": "o",
        "ticker": "M",
        "market_ticker": "M",
        "exchange_index": 2,
        "outcome_side": "no",
        "count_fp": "1.50",
        "yes_price_dollars": "0.5200",
        "is_taker": False,
        "fee_cost": "0.004400",
        "ts": 1_781_159_370,
    }
    http.script = always(answer(200, {"fills": [fill], "cursor": ""}))
    fills = await reader.fills(min_ts=5, order_id="o")
    assert http.seen[-1].query == "limit=1000&min_ts=5&order_id=o"
    assert [(f.side, f.qty_e2, f.fee_e6, f.venue_ms) for f in fills] == [
        (Side.ASK, 150, 4_400, 1_781_159_370_000)
    ]

    settled = {
        "ticker": "M",
        "event_ticker": "E",
        "exchange_index": 2,
        "market_result": "yes",
        "yes_count_fp": "3.00",
        "no_count_fp": "0.00",
        "revenue": 300,
        "fee_cost": "0.000000",
        "settled_time": "2026-06-25T16:00:00Z",
    }
    http.script = always(answer(200, {"settlements": [settled]}))
    settlements = await reader.settlements()
    assert [(s.market, s.yes_e2, s.revenue_e6) for s in settlements] == [("M", 300, 3_000_000)]

    trade = {
        "trade_id": "t",
        "ticker": "M",
        "count_fp": "7.77",
        "yes_price_dollars": "0.0300",
        "taker_outcome_side": "yes",
        "created_time": "2026-06-15T15:48:42.609997Z",
    }
    http.script = always(answer(200, {"trades": [trade], "cursor": ""}))
    trades = await reader.trades("M")
    assert [(t.taker_side, t.qty_e2) for t in trades] == [(Side.BID, 777)]

"""Every answer that the demo exchange really gave is read, and read as what it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.domain.side import Side
from libs.common.kalshi import rest, wire_orders
from libs.common.kalshi.model import (
    Accepted,
    BookDelta,
    BookSnapshot,
    FeedEvent,
    FeedHeard,
    Outcome,
    Refused,
)
from libs.common.kalshi.outcome import Answer, Meant, order_outcome, refusal_of
from libs.common.kalshi.session import FeedSession
from libs.common.kalshi.wire_account import balance_of, costs_of, limits_of, position_of, settlement_of
from libs.common.kalshi.wire_markets import book_of, market_of, public_trade_of, status_of_exchange
from libs.common.kalshi.wire_orders import decode_with, fill_of, order_of
from libs.common.messages.market import MarketState
from tests.support.shared import requires_shared, shared_dir

pytestmark = requires_shared

RECORDED = shared_dir() / "data" / "kalshi-demo-recorded"
MARKET = "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP"

Reading = Callable[[bytes], Any]


def page(decoder: msgspec.json.Decoder[Any], items: str, convert: Callable[[Any], Any]) -> Reading:
    return lambda body: [convert(item) for item in getattr(decode_with(decoder, body), items) or ()]


def one(decoder: msgspec.json.Decoder[Any], convert: Callable[[Any], Any]) -> Reading:
    return lambda body: convert(decode_with(decoder, body))


READINGS: dict[str, Reading] = {
    "account__endpoint_costs": one(rest._COSTS, costs_of),
    "account__limits": one(rest._LIMITS, limits_of),
    "auth__": one(rest._BALANCE, balance_of),
    "cleanup__": wire_orders.read_order_answer,
    "exchange__status": one(rest._STATUS, status_of_exchange),
    "fills__": page(rest._FILLS, "fills", fill_of),
    "markets__single_filter": page(rest._MARKETS, "markets", market_of),
    "markets__single": one(rest._MARKET, lambda wire: market_of(wire.market)),
    "markets__unauth_single": one(rest._MARKET, lambda wire: market_of(wire.market)),
    "markets__": page(rest._MARKETS, "markets", market_of),
    "orderbook__": one(rest._BOOK, lambda wire: book_of(MARKET, wire)),
    "orders__get": one(rest._ORDER, lambda wire: order_of(wire.order)),
    "orders__legacy": one(rest._ORDER, lambda wire: order_of(wire.order)),
    "orders__stp_resting_after": one(rest._ORDER, lambda wire: order_of(wire.order)),
    "orders__": wire_orders.read_order_answer,
    "portfolio__orders_list": page(rest._ORDERS, "orders", order_of),
    "portfolio__positions": page(rest._POSITIONS, "market_positions", position_of),
    "series__fee_changes": msgspec.json.decode,
    "settlements__": page(rest._SETTLEMENTS, "settlements", settlement_of),
    "trades__": page(rest._TRADES, "trades", public_trade_of),
}
"""By the longest beginning of the file's name; refusals are read as refusals first."""


def bodies() -> list[Path]:
    return sorted(p for p in RECORDED.glob("*.json") if not p.name.endswith(".meta.json"))


def meta(case: str) -> dict[str, Any]:
    path = RECORDED / f"{case}.meta.json"
    return dict(json.loads(path.read_bytes())) if path.exists() else {"status": 200}


def said(case: str) -> Answer:
    return Answer(int(meta(case)["status"]), (RECORDED / f"{case}.json").read_bytes())


@pytest.mark.parametrize("path", bodies(), ids=lambda path: path.stem)
def test_every_recorded_body_is_read(path: Path) -> None:
    answer = said(path.stem)
    refusal = refusal_of(answer)
    if answer.status >= 400:
        assert isinstance(refusal, Refused)
        assert refusal.code
        return
    assert refusal is None
    name = max((n for n in READINGS if path.stem.startswith(n)), key=len)
    assert READINGS[name](answer.body) is not None


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("auth__bad_signature", 401, "authentication_error"),
        ("auth__missing_signature_header", 401, "signature_is_missing_from_headers"),
        ("auth__skew_minus30s", 401, "header_timestamp_expired"),
        ("auth__unknown_key_id", 401, "authentication_error"),
        ("markets__limit_over_max", 400, "invalid_parameters"),
        ("orders__cancel_already_canceled", 404, "not_found"),
        ("orders__cancel_executed", 404, "not_found"),
        ("orders__duplicate_client_order_id", 409, "order_already_exists"),
        ("orders__insufficient_balance", 400, "insufficient_balance"),
        ("orders__invalid_price_structure", 400, "invalid_price"),
        ("orders__numeric_field_types", 400, "bad_request"),
        ("orders__post_only_cross", 400, "invalid_order"),
        ("orders__reuse_canceled_client_id", 409, "order_already_exists"),
    ],
)
def test_recorded_refusals_keep_their_code(case: str, status: int, code: str) -> None:
    refusal = refusal_of(said(case))

    assert isinstance(refusal, Refused)
    assert (refusal.status, refusal.code, refusal.is_rate_limit) == (status, code, False)


@pytest.mark.parametrize(
    ("case", "filled", "remaining"),
    [
        ("orders__create_v2_maker", 0, 100),
        ("orders__create_v2_taker_ioc", 100, 0),
        ("orders__stp_self_cross", 0, 0),
        ("orders__stp_setup", 0, 100),
        ("orders__settlement_seed", 100, 0),
    ],
)
def test_recorded_creates_are_accepted_for_the_order_that_was_sent(
    case: str, filled: int, remaining: int
) -> None:
    sent = meta(case)["request_body"]
    sent = json.loads(sent) if isinstance(sent, str) else sent

    outcome: Outcome = order_outcome(said(case), Meant(client_order_id=sent["client_order_id"]))

    assert isinstance(outcome, Accepted)
    assert (outcome.filled_e2, outcome.remaining_e2) == (filled, remaining)
    assert outcome.client_order_id == sent["client_order_id"]


def test_the_recorded_cancel_tells_what_was_taken_away() -> None:
    answer = said("orders__cancel_v2")
    order_id = json.loads(answer.body)["order_id"]

    assert order_outcome(answer, Meant(order_id), is_cancel=True) == Accepted(
        order_id, "", 0, 0, 100, 1_781_159_364_112
    )


def test_the_recorded_market_book_and_fill_come_in_our_units() -> None:
    market = READINGS["markets__single"](said("markets__single").body)
    assert (market.market, market.state, market.shard) == (MARKET, MarketState.ACTIVE, 0)
    assert [(b.start_e4, b.end_e4, b.step_e4) for b in market.grid] == [(0, 10_000, 100)]
    assert market.close_ms == 1_782_403_200_000

    book = READINGS["orderbook__"](said("orderbook__base").body)
    assert (book.bids, book.asks) == (((4_700, 300),), ((5_200, 300),))

    fill = READINGS["fills__"](said("fills__after_taker").body)[0]
    assert (fill.side, fill.price_e4, fill.qty_e2, fill.fee_e6) == (Side.BID, 5_200, 100, 17_500)
    assert (fill.venue_ms, fill.is_taker) == (1_781_159_370_164, True)


@pytest.mark.parametrize("variant", ["noleg", "yes"])
def test_the_recorded_feed_is_one_yes_book_in_either_way_of_asking(variant: str) -> None:
    described = meta(f"ws__orderbook_trade_{variant}")["subscribe_cmd"]["params"]
    session = FeedSession(described["channels"], described["use_yes_price"])
    asked = msgspec.json.decode(session.open(described["market_tickers"])[0])
    for name, value in described.items():
        assert asked["params"][name] == value
    lines = (RECORDED / f"ws__orderbook_trade_{variant}.jsonl").read_text().splitlines()

    events: list[FeedEvent] = []
    for line in lines:
        if line.strip():
            events += session.receive(line, 0)

    assert not session.faults
    assert session.failure is None
    snapshot = events[0]
    assert isinstance(snapshot, BookSnapshot)
    assert snapshot.bids == ((4_700, 300),)
    assert snapshot.asks == (((5_200, 200),) if variant == "noleg" else ((5_200, 100),))
    deltas = [e for e in events if isinstance(e, BookDelta)]
    changes = [(d.side, d.price_e4, d.change_e2) for d in deltas]
    if variant == "noleg":
        assert changes == [
            (Side.BID, 4_700, -300),
            (Side.ASK, 5_200, -200),
            (Side.BID, 4_700, 300),
            (Side.ASK, 5_200, 100),
        ]
    else:
        assert changes == [(Side.ASK, 5_200, -100), (Side.ASK, 5_200, 200)]
    stamps = [e.as_of_ms for e in events if isinstance(e, FeedHeard)]
    assert stamps == sorted(stamps)
    assert stamps

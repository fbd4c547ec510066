"""The reconciler's own reading of the private feed: tolerant of more, strict about what it needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.side import Side
from libs.common.domain.units import format_cash, format_price, format_qty
from libs.common.kalshi import feed_events
from libs.common.kalshi.model import VenueOrderStatus
from libs.common.kalshi.wire_feed import FRAME_DECODER, FillFrame, MarketPositionFrame, UserOrderFrame
from services.reconciler.core.own_wire import (
    CASH_PLACES,
    PRICE_PLACES,
    QTY_PLACES,
    UnreadableFrame,
    fill_of,
    fixed,
    head_of,
    order_of,
    position_of,
)

FILL: dict[str, Any] = {
    "trade_id": "t1",
    "order_id": "o1",
    "client_order_id": "dora-sim-1-1-0-00000000",
    "market_ticker": "KX-1",
    "exchange_index": 2,
    "is_taker": True,
    "outcome_side": "no",
    "book_side": "ask",
    "yes_price_dollars": "0.4100",
    "count_fp": "3.50",
    "fee_cost": "0.012300",
    "post_position_fp": "-3.50",
    "ts_ms": 1_700_000_000_123,
}
ORDER: dict[str, Any] = {
    "order_id": "o1",
    "ticker": "KX-1",
    "status": "resting",
    "book_side": "bid",
    "yes_price_dollars": "0.1200",
    "initial_count_fp": "5.00",
    "fill_count_fp": "1.25",
    "remaining_count_fp": "3.75",
    "client_order_id": "mine",
    "last_updated_ts_ms": 7,
}
POSITION: dict[str, Any] = {"market_ticker": "KX-1", "position_fp": "-12.34"}
KINDS: list[tuple[str, dict[str, Any], Callable[[Any], Any]]] = [
    ("fill", FILL, fill_of),
    ("user_order", ORDER, order_of),
    ("market_position", POSITION, position_of),
]
NEEDED = [
    *((0, name) for name in ("trade_id", "order_id", "market_ticker", "is_taker", "count_fp", "fee_cost")),
    *((0, name) for name in ("yes_price_dollars", "ts_ms")),
    *((1, name) for name in ("order_id", "ticker", "status", "book_side", "yes_price_dollars")),
    *((1, name) for name in ("initial_count_fp", "fill_count_fp", "remaining_count_fp")),
    *((2, name) for name in ("market_ticker", "position_fp")),
]


def frame(kind: str, msg: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "sid": 1, "sending_ts_ms": 9, "msg": msg}).encode()


def test_a_fill_is_read_in_our_units() -> None:
    fill = fill_of(head_of(frame("fill", FILL))).fill
    assert (fill.trade_id, fill.order_id, fill.market, fill.shard) == ("t1", "o1", "KX-1", 2)
    assert (fill.side, fill.price_e4, fill.qty_e2, fill.fee_e6) == (Side.ASK, 4_100, 350, 12_300)
    assert (fill.is_taker, fill.venue_ms, fill.position_after_e2) == (True, 1_700_000_000_123, -350)


def test_an_order_is_read_in_our_units() -> None:
    order = order_of(head_of(frame("user_order", ORDER))).order
    assert (order.side, order.price_e4, order.status) == (Side.BID, 1_200, VenueOrderStatus.RESTING)
    assert (order.initial_e2, order.filled_e2, order.remaining_e2, order.updated_ms) == (500, 125, 375, 7)


def test_a_position_is_read_in_our_units() -> None:
    position = position_of(head_of(frame("market_position", POSITION))).position
    assert (position.market, position.qty_e2) == ("KX-1", -1_234)


@pytest.mark.parametrize(("kind", "msg", "read"), KINDS, ids=lambda value: str(value)[:12])
def test_what_the_venue_adds_is_ignored(kind: str, msg: dict[str, Any], read: Callable[[Any], Any]) -> None:
    more = msg | {"from_next_year": {"deep": [1]}}
    assert read(head_of(frame(kind, more))) == read(head_of(frame(kind, msg)))


@pytest.mark.parametrize(("which", "field"), NEEDED)
def test_what_is_needed_and_missing_is_unreadable(which: int, field: str) -> None:
    kind, msg, read = KINDS[which]
    part = {name: value for name, value in msg.items() if name != field}
    part.pop("outcome_side", None)
    with pytest.raises(UnreadableFrame):
        read(head_of(frame(kind, part)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"yes_price_dollars": "1.0001"},
        {"yes_price_dollars": "0.12345"},
        {"yes_price_dollars": "-0.1"},
        {"yes_price_dollars": 0.5},
        {"remaining_count_fp": "-1.00"},
        {"remaining_count_fp": "1e2"},
        {"remaining_count_fp": "\u0661"},
        {"remaining_count_fp": " 1"},
        {"remaining_count_fp": "1."},
        {"remaining_count_fp": ""},
        {"status": "napping"},
        {"book_side": "bid", "outcome_side": "no"},
        {"order_id": ""},
        {"ticker": None},
    ],
)
def test_another_form_is_unreadable(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnreadableFrame):
        order_of(head_of(frame("user_order", ORDER | wrong)))


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b"\xff", b'{"sid":1}', b"[" * 100_000])
def test_bytes_that_are_no_frame_are_unreadable_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(UnreadableFrame):
        head_of(data)


@given(st.integers(0, 10_000), st.integers(-(10**9), 10**9), st.integers(-(10**12), 10**12))
def test_a_decimal_is_read_exactly(price_e4: int, qty_e2: int, cash_e6: int) -> None:
    assert fixed(format_price(price_e4), PRICE_PLACES) == price_e4
    assert fixed(format_qty(qty_e2), QTY_PLACES) == qty_e2
    assert fixed(format_cash(cash_e6), CASH_PLACES) == cash_e6


@settings(deadline=None)
@given(
    st.sampled_from(Side), st.integers(1, 9_999), st.integers(1, 10**6), st.integers(0, 10**6), st.booleans()
)
def test_two_parsers_written_apart_read_the_same(
    side: Side, price_e4: int, qty_e2: int, fee_e6: int, is_taker: bool
) -> None:
    """The executor's parser and this one share no line; where they differ, one of them is wrong."""
    terms = {
        "book_side": side.value,
        "outcome_side": "yes" if side is Side.BID else "no",
        "yes_price_dollars": format_price(price_e4),
    }
    fill = frame(
        "fill",
        FILL
        | terms
        | {"count_fp": format_qty(qty_e2), "fee_cost": format_cash(fee_e6), "is_taker": is_taker},
    )
    shared = FRAME_DECODER.decode(fill)
    assert isinstance(shared, FillFrame)
    assert fill_of(head_of(fill)) == feed_events.private_of(shared)
    order = frame("user_order", ORDER | terms | {"remaining_count_fp": format_qty(qty_e2)})
    told = FRAME_DECODER.decode(order)
    assert isinstance(told, UserOrderFrame)
    assert order_of(head_of(order)) == feed_events.private_of(told)
    position = frame("market_position", POSITION | {"position_fp": format_qty(side.sign * qty_e2)})
    said = FRAME_DECODER.decode(position)
    assert isinstance(said, MarketPositionFrame)
    assert position_of(head_of(position)) == feed_events.private_of(said)

"""Orders, fills and order groups as the venue answers them.

Read tolerantly: unknown fields are ignored, an optional field may be absent or
null, a needed one that is missing makes the body malformed.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueFill, VenueOrder, VenueOrderGroup, VenueOrderStatus
from libs.common.kalshi.wire_text import MalformedWire, cash_e6, count_e2, price_e4, time_ms

T = TypeVar("T")


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of create, amend, decrease and single cancel: one shape with holes."""

    order_id: str | None = None
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    reduced_by: str | None = None
    ts_ms: int | None = None


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a batch answer; ``error`` in any shape."""

    order_id: str | None = None
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    reduced_by: str | None = None
    ts_ms: int | None = None
    error: Any = None


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A batch answer."""

    orders: list[BatchItem]


class GroupCreatedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of order group creation."""

    order_group_id: str


class OrderWire(msgspec.Struct, frozen=True, kw_only=True):
    """An order in a listing."""

    order_id: str
    client_order_id: str | None = None
    ticker: str
    book_side: str | None = None
    outcome_side: str | None = None
    status: str
    yes_price_dollars: str
    initial_count_fp: str
    fill_count_fp: str
    remaining_count_fp: str
    exchange_index: int | None = None
    order_group_id: str | None = None
    expiration_time: str | None = None
    last_update_time: str | None = None
    created_time: str | None = None


class OrdersPage(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/orders``."""

    orders: list[OrderWire] | None = None
    cursor: str | None = None


class OneOrder(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/orders/{id}``."""

    order: OrderWire


class FillWire(msgspec.Struct, frozen=True, kw_only=True):
    """A fill in a listing."""

    trade_id: str | None = None
    fill_id: str | None = None
    order_id: str
    ticker: str | None = None
    market_ticker: str | None = None
    exchange_index: int | None = None
    book_side: str | None = None
    outcome_side: str | None = None
    count_fp: str
    yes_price_dollars: str
    is_taker: bool
    fee_cost: str
    created_time: str | None = None
    ts: int | None = None


class FillsPage(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/fills``."""

    fills: list[FillWire] | None = None
    cursor: str | None = None


class QueuePositionWire(msgspec.Struct, frozen=True, kw_only=True):
    """Contracts ahead of one order."""

    order_id: str
    queue_position_fp: str


class QueuePositions(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/orders/queue_positions``."""

    queue_positions: list[QueuePositionWire] | None = None


class GroupWire(msgspec.Struct, frozen=True, kw_only=True):
    """An order group in a listing."""

    id: str
    contracts_limit_fp: str | None = None
    is_auto_cancel_enabled: bool | None = None
    exchange_index: int | None = None


class OneGroup(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/order_groups/{id}``: without its id, with its orders."""

    orders: list[str] | None = None
    contracts_limit_fp: str | None = None
    is_auto_cancel_enabled: bool | None = None
    exchange_index: int | None = None


class GroupsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/order_groups``."""

    order_groups: list[GroupWire] | None = None


_ORDER_ANSWER = msgspec.json.Decoder(OrderAnswer)
_BATCH_ANSWER = msgspec.json.Decoder(BatchAnswer)
_GROUP_CREATED = msgspec.json.Decoder(GroupCreatedAnswer)


def decode_with(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Return the body as its struct.

    Raises:
        MalformedWire: Not JSON, or a needed field is missing or of another type.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise MalformedWire(f"{decoder.type.__name__}, was {len(body)} bytes: {e}") from None


def read_order_answer(body: bytes) -> OrderAnswer:
    """Return the answer of a single order write.

    Raises:
        MalformedWire: The body is not one.
    """
    return decode_with(_ORDER_ANSWER, body)


def read_batch_answer(body: bytes) -> list[BatchItem]:
    """Return the items of a batch answer.

    Raises:
        MalformedWire: The body is not one.
    """
    return decode_with(_BATCH_ANSWER, body).orders


def read_group_created(body: bytes) -> str:
    """Return the id of a created order group.

    Raises:
        MalformedWire: The body holds none.
    """
    name = decode_with(_GROUP_CREATED, body).order_group_id
    if not name:
        raise MalformedWire("order group with an id, was an empty one")
    return name


def side_of(book_side: str | None, outcome_side: str | None) -> Side:
    """Return the YES-book side from either of the venue's two words for it (kalshi-api 3.2).

    Raises:
        MalformedWire: Neither word is known.
    """
    if book_side == "bid" or (not book_side and outcome_side == "yes"):
        return Side.BID
    if book_side == "ask" or (not book_side and outcome_side == "no"):
        return Side.ASK
    raise MalformedWire(f"side bid/ask or yes/no, was {book_side!r}/{outcome_side!r}")


def status_of(word: str) -> VenueOrderStatus:
    """Return the order status; a word we do not know is ``unknown``, not an error."""
    if word == "cancelled":
        # Both spellings are in use at the venue (D-005); the enum's own is the V2 API's.
        return VenueOrderStatus.CANCELED
    try:
        return VenueOrderStatus(word)
    except ValueError:
        return VenueOrderStatus.UNKNOWN


def order_of(wire: OrderWire) -> VenueOrder:
    """Return a listed order in our units.

    Raises:
        MalformedWire: A text has another form than its field allows.
    """
    return VenueOrder(
        order_id=wire.order_id,
        client_order_id=wire.client_order_id or "",
        market=wire.ticker,
        shard=wire.exchange_index or 0,
        side=side_of(wire.book_side, wire.outcome_side),
        price_e4=price_e4(wire.yes_price_dollars),
        initial_e2=count_e2(wire.initial_count_fp),
        filled_e2=count_e2(wire.fill_count_fp),
        remaining_e2=count_e2(wire.remaining_count_fp),
        status=status_of(wire.status),
        order_group_id=wire.order_group_id or "",
        expires_ms=time_ms(wire.expiration_time) or None,
        updated_ms=time_ms(wire.last_update_time or wire.created_time),
    )


def fill_of(wire: FillWire) -> VenueFill:
    """Return a listed fill in our units; REST names no client order id.

    Raises:
        MalformedWire: No id, no market, or a text of another form.
    """
    trade_id, market = wire.trade_id or wire.fill_id, wire.market_ticker or wire.ticker
    if not trade_id or not market:
        raise MalformedWire(f"fill with trade id and market, was {trade_id!r} and {market!r}")
    return VenueFill(
        trade_id=trade_id,
        order_id=wire.order_id,
        client_order_id="",
        market=market,
        shard=wire.exchange_index or 0,
        side=side_of(wire.book_side, wire.outcome_side),
        price_e4=price_e4(wire.yes_price_dollars),
        qty_e2=count_e2(wire.count_fp),
        fee_e6=cash_e6(wire.fee_cost),
        is_taker=wire.is_taker,
        venue_ms=time_ms(wire.created_time) or (wire.ts or 0) * 1_000,
    )


def group_of(wire: GroupWire) -> VenueOrderGroup:
    """Return a listed order group in our units; a listing does not tell its orders.

    Raises:
        MalformedWire: A limit of another form.
    """
    return _group(wire.id, wire, ())


def one_group_of(order_group_id: str, wire: OneGroup) -> VenueOrderGroup:
    """Return a single order group in our units.

    Raises:
        MalformedWire: A limit of another form.
    """
    return _group(order_group_id, wire, tuple(wire.orders or ()))


def _group(order_group_id: str, wire: GroupWire | OneGroup, order_ids: tuple[str, ...]) -> VenueOrderGroup:
    return VenueOrderGroup(
        order_group_id=order_group_id,
        shard=wire.exchange_index or 0,
        limit_e2=None if wire.contracts_limit_fp is None else count_e2(wire.contracts_limit_fp),
        is_auto_cancel_enabled=bool(wire.is_auto_cancel_enabled),
        order_ids=order_ids,
    )

"""The private feed, read by this service's own hand: own structs, own numbers, own conversion.

The executor reads the same channels through `libs/common/kalshi`. A mistake in
that parser must not reach both witnesses, so nothing of it is used here, not
even the reading of a decimal. What the venue adds is ignored; what is needed and
missing, or has another form, makes the frame unreadable, and an unreadable frame
is never passed over: the caller gives up the connection (`own_session.py`).
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from libs.common.domain.side import Side
from libs.common.kalshi.model import (
    OwnFill,
    OwnOrder,
    OwnPosition,
    VenueFill,
    VenueOrder,
    VenueOrderStatus,
    VenuePosition,
)

_S = TypeVar("_S", bound=msgspec.Struct)

PRICE_PLACES: Final = 4
QTY_PLACES: Final = 2
CASH_PLACES: Final = 6
_DIGITS_MAX: Final = 20
_DOLLAR: Final = 10**PRICE_PLACES


class UnreadableFrame(Exception):  # noqa: N818 - named for what was found
    """A frame of a private channel lacks what is needed, or says it in another form."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What every frame begins with; the content is read by its type."""

    type: str
    id: int | None = None
    sid: int | None = None
    sending_ts_ms: int | None = None
    msg: msgspec.Raw = msgspec.Raw()


class SubscribedContent(msgspec.Struct, frozen=True, kw_only=True):
    """``subscribed``."""

    channel: str
    sid: int


class ErrorContent(msgspec.Struct, frozen=True, kw_only=True):
    """``error``."""

    code: int | None = None
    msg: str | None = None


class FillContent(msgspec.Struct, frozen=True, kw_only=True):
    """``fill``."""

    trade_id: str
    order_id: str
    market_ticker: str
    is_taker: bool
    yes_price_dollars: str
    count_fp: str
    fee_cost: str
    book_side: str | None = None
    outcome_side: str | None = None
    client_order_id: str | None = None
    exchange_index: int | None = None
    post_position_fp: str | None = None
    ts_ms: int | None = None
    ts: int | None = None


class OrderContent(msgspec.Struct, frozen=True, kw_only=True):
    """``user_order``."""

    order_id: str
    ticker: str
    status: str
    yes_price_dollars: str
    initial_count_fp: str
    fill_count_fp: str
    remaining_count_fp: str
    book_side: str | None = None
    outcome_side: str | None = None
    client_order_id: str | None = None
    exchange_index: int | None = None
    order_group_id: str | None = None
    last_updated_ts_ms: int | None = None
    created_ts_ms: int | None = None


class PositionContent(msgspec.Struct, frozen=True, kw_only=True):
    """``market_position``."""

    market_ticker: str
    position_fp: str


_HEAD: Final = msgspec.json.Decoder(Head)
_SUBSCRIBED: Final = msgspec.json.Decoder(SubscribedContent)
_ERROR: Final = msgspec.json.Decoder(ErrorContent)
_FILL: Final = msgspec.json.Decoder(FillContent)
_ORDER: Final = msgspec.json.Decoder(OrderContent)
_POSITION: Final = msgspec.json.Decoder(PositionContent)
_STATUSES: Final = {word.value: word for word in VenueOrderStatus}
_BOOK_SIDES: Final = {"bid": Side.BID, "ask": Side.ASK}
_OUTCOMES: Final = {"yes": Side.BID, "no": Side.ASK}


def head_of(frame: bytes | str) -> Head:
    """Return a frame's head.

    Raises:
        UnreadableFrame: Not JSON, or without a type.
    """
    return _decoded(_HEAD, frame)


def subscribed_of(head: Head) -> SubscribedContent:
    """Return which channel got which id.

    Raises:
        UnreadableFrame: See `head_of`.
    """
    return _decoded(_SUBSCRIBED, head.msg)


def error_of(head: Head) -> str:
    """Return an error as text.

    Raises:
        UnreadableFrame: See `head_of`.
    """
    content = _decoded(_ERROR, head.msg)
    return f"error {content.code}: {content.msg or ''}"[:200]


def fill_of(head: Head) -> OwnFill:
    """Return a fill; prices are YES prices.

    Raises:
        UnreadableFrame: A needed field is missing or has another form.
    """
    told = _decoded(_FILL, head.msg)
    venue_ms = told.ts_ms or (told.ts or 0) * 1_000
    if not venue_ms:
        raise UnreadableFrame(f"a time of fill {told.trade_id}")
    after_e2 = None if told.post_position_fp is None else fixed(told.post_position_fp, QTY_PLACES)
    return OwnFill(
        VenueFill(
            trade_id=_named(told.trade_id, "trade_id"),
            order_id=_named(told.order_id, "order_id"),
            client_order_id=told.client_order_id or "",
            market=_named(told.market_ticker, "market_ticker"),
            shard=told.exchange_index or 0,
            side=_side(told.book_side, told.outcome_side),
            price_e4=_price(told.yes_price_dollars),
            qty_e2=_count(told.count_fp),
            fee_e6=fixed(told.fee_cost, CASH_PLACES),
            is_taker=told.is_taker,
            venue_ms=venue_ms,
            position_after_e2=after_e2,
        )
    )


def order_of(head: Head) -> OwnOrder:
    """Return an order after a change; a word for its status that is new to us is unreadable.

    Raises:
        UnreadableFrame: A needed field is missing or has another form.
    """
    told = _decoded(_ORDER, head.msg)
    status = _STATUSES.get(told.status)
    if status is None:
        raise UnreadableFrame(f"a known status, was {told.status!r}")
    return OwnOrder(
        VenueOrder(
            order_id=_named(told.order_id, "order_id"),
            client_order_id=told.client_order_id or "",
            market=_named(told.ticker, "ticker"),
            shard=told.exchange_index or 0,
            side=_side(told.book_side, told.outcome_side),
            price_e4=_price(told.yes_price_dollars),
            initial_e2=_count(told.initial_count_fp),
            filled_e2=_count(told.fill_count_fp),
            remaining_e2=_count(told.remaining_count_fp),
            status=status,
            order_group_id=told.order_group_id or "",
            updated_ms=told.last_updated_ts_ms or told.created_ts_ms or 0,
        )
    )


def position_of(head: Head) -> OwnPosition:
    """Return a position after a change; only its quantity is used.

    Raises:
        UnreadableFrame: A needed field is missing or has another form.
    """
    told = _decoded(_POSITION, head.msg)
    market = _named(told.market_ticker, "market_ticker")
    return OwnPosition(VenuePosition(market, 0, fixed(told.position_fp, QTY_PLACES), 0, 0, 0))


def fixed(text: str, places: int) -> int:
    """Return a decimal text in units of ten to the minus ``places``, exactly.

    Raises:
        UnreadableFrame: Another form than digits with at most ``places`` decimals and an optional minus.
    """
    sign, digits = (-1, text[1:]) if text[:1] == "-" else (1, text)
    whole, point, rest = digits.partition(".")
    is_number = digits.isascii() and whole.isdigit() and (rest.isdigit() or not point)
    if not is_number or len(rest) > places or len(whole) > _DIGITS_MAX:
        raise UnreadableFrame(f"a number with at most {places} decimals, was {text[:40]!r}")
    return sign * int(whole + rest.ljust(places, "0"))


def _price(text: str) -> int:
    price_e4 = fixed(text, PRICE_PLACES)
    if not 0 <= price_e4 <= _DOLLAR:
        raise UnreadableFrame(f"a price of 0 to 1 dollar, was {text!r}")
    return price_e4


def _count(text: str) -> int:
    count_e2 = fixed(text, QTY_PLACES)
    if count_e2 < 0:
        raise UnreadableFrame(f"a count of zero or more, was {text!r}")
    return count_e2


def _side(book_side: str | None, outcome_side: str | None) -> Side:
    by_book, by_outcome = _BOOK_SIDES.get(book_side or ""), _OUTCOMES.get(outcome_side or "")
    side = by_book or by_outcome
    if side is None or (by_book is not None and by_outcome is not None and by_book is not by_outcome):
        raise UnreadableFrame(f"one side, was {book_side!r} and {outcome_side!r}")
    return side


def _named(text: str, name: str) -> str:
    if not text:
        raise UnreadableFrame(f"{name}, was empty")
    return text


def _decoded(decoder: msgspec.json.Decoder[_S], data: bytes | str | msgspec.Raw) -> _S:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise UnreadableFrame(str(e)[:200]) from None

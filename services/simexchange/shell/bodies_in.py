"""Request bodies: from JSON to the core's requests, refused in the venue's words.

Prices and counts are strings; a number in their place is refused with the text
that was recorded (``json: cannot unmarshal number into Go struct field ...``).
Unknown fields are ignored and null counts as absent, as in the venue's server.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from libs.common.domain.side import Side
from libs.common.domain.units import MalformedNumber, parse_price_e4, parse_qty_e2
from services.simexchange.core.entry import INVALID_PRICE
from services.simexchange.core.orders import SelfTradePrevention, TimeInForce
from services.simexchange.core.requests import (
    AmendRequest,
    CreateRequest,
    DecreaseRequest,
    OrderRef,
    Rejection,
)
from services.simexchange.shell.reply import ReplyError, bad_request, invalid_parameters, refused

T = TypeVar("T", bound=msgspec.Struct)


class CreateOrderV2Request(msgspec.Struct, kw_only=True):
    """``POST /portfolio/events/orders``."""

    ticker: str
    side: str
    count: str
    price: str
    time_in_force: str
    self_trade_prevention_type: str
    client_order_id: str | None = None
    expiration_time: int | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    cancel_order_on_pause: bool | None = None
    order_group_id: str | None = None
    subaccount: int | None = None
    exchange_index: int | None = None


class BatchCreateOrdersV2Request(msgspec.Struct, kw_only=True):
    """``POST /portfolio/events/orders/batched``."""

    orders: list[CreateOrderV2Request]


class BatchCancelItem(msgspec.Struct, kw_only=True):
    """One order to cancel."""

    order_id: str
    market_ticker: str | None = None
    exchange_index: int | None = None
    subaccount: int | None = None


class BatchCancelOrdersV2Request(msgspec.Struct, kw_only=True):
    """``DELETE /portfolio/events/orders/batched``."""

    orders: list[BatchCancelItem]


class AmendOrderV2Request(msgspec.Struct, kw_only=True):
    """``POST /portfolio/events/orders/{order_id}/amend``."""

    ticker: str
    side: str
    price: str
    count: str
    client_order_id: str | None = None
    updated_client_order_id: str | None = None
    expiration_time: int | None = None
    exchange_index: int | None = None


class DecreaseOrderV2Request(msgspec.Struct, kw_only=True):
    """``POST /portfolio/events/orders/{order_id}/decrease``."""

    reduce_by: str | None = None
    reduce_to: str | None = None
    exchange_index: int | None = None
    market_ticker: str | None = None


class OrderGroupLimitRequest(msgspec.Struct, kw_only=True):
    """Bodies of group creation and limit change."""

    contracts_limit: int | None = None
    contracts_limit_fp: str | None = None
    subaccount: int | None = None
    exchange_index: int | None = None


class ShardTransferRequest(msgspec.Struct, kw_only=True):
    """``POST /portfolio/intra_exchange_instance_transfer``; the amount in centi-cents."""

    source: str
    destination: str
    amount: int
    source_exchange_shard: int = 0
    destination_exchange_shard: int = 0
    source_subaccount: int = 0
    destination_subaccount: int = 0
    client_transfer_id: str | None = None


_SIDES = {side.value: side for side in Side}
_TIFS = {tif.value: tif for tif in TimeInForce}
_STPS = {stp.value: stp for stp in SelfTradePrevention}
_AT = re.compile(r"Expected `([^`]+)`, got `([^`]+)` - at `\$(?:\.orders\[\.\.\.\])?\.?([^`]*)`")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_GO_GOT = {
    "int": "number",
    "float": "number",
    "str": "string",
    "bool": "bool",
    "array": "array",
    "object": "object",
}
_GO_WANTED = {
    "str": "string",
    "int": "int64",
    "bool": "bool",
    "array": "[]json.RawMessage",
    "object": "struct",
}
_decoders: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}


def decode(kind: type[T], body: bytes) -> T:
    """Return the body as its struct.

    Raises:
        ReplyError: It is no JSON or does not fit; carries the reply.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        value: T = decoder.decode(body or b"{}")
    except msgspec.ValidationError as e:
        raise bad_request(_go_words(kind.__name__, str(e))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise bad_request(f"json: {e}") from None
    return value


def create_request(body: CreateOrderV2Request) -> CreateRequest | Rejection:
    """Return the core's request, or why the values make none."""
    side, tif = _SIDES.get(body.side), _TIFS.get(body.time_in_force)
    stp = _STPS.get(body.self_trade_prevention_type)
    if side is None:
        return _invalid("side")
    if tif is None:
        return _invalid("time_in_force")
    if stp is None:
        return _invalid("self_trade_prevention_type")
    numbers = _price_and_count(body.price, body.count)
    if isinstance(numbers, Rejection):
        return numbers
    return CreateRequest(
        market=body.ticker,
        side=side,
        price_e4=numbers[0],
        qty_e2=numbers[1],
        tif=tif,
        stp=stp,
        client_order_id=body.client_order_id or "",
        expires_s=body.expiration_time,
        post_only=bool(body.post_only),
        reduce_only=bool(body.reduce_only),
        cancel_on_pause=bool(body.cancel_order_on_pause),
        order_group_id=body.order_group_id or "",
        subaccount=body.subaccount or 0,
        exchange_index=body.exchange_index,
    )


def amend_request(body: AmendOrderV2Request, order_id: str, subaccount: int) -> AmendRequest | Rejection:
    """Return the core's request, or why the values make none."""
    side = _SIDES.get(body.side)
    if side is None:
        return _invalid("side")
    numbers = _price_and_count(body.price, body.count)
    if isinstance(numbers, Rejection):
        return numbers
    return AmendRequest(
        ref=OrderRef(order_id, body.ticker, body.exchange_index, subaccount),
        side=side,
        price_e4=numbers[0],
        total_e2=numbers[1],
        client_order_id=body.client_order_id or "",
        updated_client_order_id=body.updated_client_order_id or "",
        expires_s=body.expiration_time,
    )


def decrease_request(
    body: DecreaseOrderV2Request, order_id: str, subaccount: int
) -> DecreaseRequest | Rejection:
    """Return the core's request, or why the values make none."""
    try:
        by_e2 = None if body.reduce_by is None else parse_qty_e2(body.reduce_by)
        to_e2 = None if body.reduce_to is None else parse_qty_e2(body.reduce_to)
    except MalformedNumber:
        return Rejection(400, "invalid_order_size")
    ref = OrderRef(order_id, body.market_ticker or "", body.exchange_index, subaccount)
    return DecreaseRequest(ref, by_e2, to_e2)


def group_limit_e2(body: OrderGroupLimitRequest) -> int:
    """Return the limit, which may be given as whole contracts, as a count string, or equal in both.

    Raises:
        ReplyError: Neither, or two that differ.
    """
    try:
        as_text = None if body.contracts_limit_fp is None else int(parse_qty_e2(body.contracts_limit_fp))
    except MalformedNumber:
        raise invalid_parameters("contracts_limit_fp") from None
    as_whole = None if body.contracts_limit is None else body.contracts_limit * 100
    if as_text is None and as_whole is None:
        raise invalid_parameters("contracts_limit or contracts_limit_fp")
    if as_text is not None and as_whole is not None and as_text != as_whole:
        raise invalid_parameters("contracts_limit and contracts_limit_fp differ")
    limit_e2 = as_text if as_text is not None else as_whole
    assert limit_e2 is not None
    return limit_e2


def refusal_of(value: T | Rejection | object) -> ReplyError | None:
    """Return the refusal as an error to raise, or None."""
    return ReplyError(refused(value), value.code) if isinstance(value, Rejection) else None


def _price_and_count(price: str, count: str) -> tuple[int, int] | Rejection:
    try:
        price_e4 = int(parse_price_e4(price))
    except MalformedNumber:
        return INVALID_PRICE
    try:
        return price_e4, int(parse_qty_e2(count))
    except MalformedNumber:
        return Rejection(400, "invalid_order_size")


def _invalid(name: str) -> Rejection:
    return Rejection(400, "invalid_parameters", details=name)


def _go_words(struct: str, text: str) -> str:
    """Return the decoder's message in the words of the venue's JSON library."""
    found = _AT.search(text)
    if found is not None:
        wanted = found[1].split(" |", maxsplit=1)[0]
        got = _GO_GOT.get(found[2], found[2])
        return (
            f"json: cannot unmarshal {got} into Go struct field {struct}.{found[3]} "
            f"of type {_GO_WANTED.get(wanted, wanted)}"
        )
    missing = _MISSING.search(text)
    if missing is not None:
        key = "".join(part.capitalize() for part in missing[1].split("_"))
        return f"Key: '{struct}.{key}' Error:Field validation for '{key}' failed on the 'required' tag"
    return text

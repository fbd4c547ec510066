"""The feed's frames as typed structs, decoded in one pass, and the commands we send.

A frame is decoded once, by its ``type``, into the struct of that type: no
intermediate dictionary, no second look at the bytes. Only fields that are used
are named; everything else in a frame costs nothing and cannot break us. Frames
of a type not listed here are decoded as an :class:`Envelope`, because they may
carry a sequence number that has to be counted.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Literal, get_args

import msgspec


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", gc=False):
    """Base of typed frames."""


class DeltaMsg(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A signed change of one level."""

    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: Literal["yes", "no"]
    clock: int | None = None
    ts_ms: int | None = None


class DeltaFrame(Frame, frozen=True, kw_only=True, tag="orderbook_delta", gc=False):
    """``orderbook_delta``."""

    sid: int
    seq: int
    msg: DeltaMsg
    sending_ts_ms: int | None = None


class SnapshotMsg(msgspec.Struct, frozen=True, kw_only=True):
    """All levels; a side without levels is absent."""

    market_ticker: str
    yes_dollars_fp: list[tuple[str, str]] | None = None
    no_dollars_fp: list[tuple[str, str]] | None = None
    clock: int | None = None


class SnapshotFrame(Frame, frozen=True, kw_only=True, tag="orderbook_snapshot"):
    """``orderbook_snapshot``."""

    sid: int
    seq: int
    msg: SnapshotMsg
    sending_ts_ms: int | None = None


class TradeMsg(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One public trade."""

    trade_id: str
    market_ticker: str
    yes_price_dollars: str
    count_fp: str
    taker_book_side: str | None = None
    taker_outcome_side: str | None = None
    taker_side: str | None = None
    ts_ms: int | None = None
    ts: int | None = None


class TradeFrame(Frame, frozen=True, kw_only=True, tag="trade", gc=False):
    """``trade``; ``seq`` where the server counts it."""

    sid: int
    msg: TradeMsg
    seq: int | None = None
    sending_ts_ms: int | None = None


class FillMsg(msgspec.Struct, frozen=True, kw_only=True):
    """One own fill."""

    trade_id: str
    order_id: str
    market_ticker: str
    is_taker: bool
    yes_price_dollars: str
    count_fp: str
    fee_cost: str
    client_order_id: str | None = None
    exchange_index: int | None = None
    book_side: str | None = None
    outcome_side: str | None = None
    post_position_fp: str | None = None
    ts_ms: int | None = None
    ts: int | None = None


class FillFrame(Frame, frozen=True, kw_only=True, tag="fill"):
    """``fill``."""

    sid: int
    msg: FillMsg
    sending_ts_ms: int | None = None


class UserOrderMsg(msgspec.Struct, frozen=True, kw_only=True):
    """An own order after a change."""

    order_id: str
    ticker: str
    status: str
    yes_price_dollars: str
    fill_count_fp: str
    remaining_count_fp: str
    initial_count_fp: str
    client_order_id: str | None = None
    exchange_index: int | None = None
    book_side: str | None = None
    outcome_side: str | None = None
    order_group_id: str | None = None
    expiration_ts_ms: int | None = None
    last_updated_ts_ms: int | None = None
    created_ts_ms: int | None = None
    last_update_reason: str | None = None


class UserOrderFrame(Frame, frozen=True, kw_only=True, tag="user_order"):
    """``user_order``, on channel ``user_orders``."""

    sid: int
    msg: UserOrderMsg
    sending_ts_ms: int | None = None


class MarketPositionMsg(msgspec.Struct, frozen=True, kw_only=True):
    """An own position after a change."""

    market_ticker: str
    position_fp: str
    position_cost_dollars: str | None = None
    realized_pnl_dollars: str | None = None
    fees_paid_dollars: str | None = None


class MarketPositionFrame(Frame, frozen=True, kw_only=True, tag="market_position"):
    """``market_position``, on channel ``market_positions``."""

    sid: int
    msg: MarketPositionMsg
    sending_ts_ms: int | None = None


class GroupUpdateMsg(msgspec.Struct, frozen=True, kw_only=True):
    """An order group after a change."""

    event_type: str
    order_group_id: str
    contracts_limit_fp: str | None = None
    ts_ms: int | None = None


class GroupUpdateFrame(Frame, frozen=True, kw_only=True, tag="order_group_updates"):
    """``order_group_updates``."""

    sid: int
    seq: int
    msg: GroupUpdateMsg
    sending_ts_ms: int | None = None


class BandWire(msgspec.Struct, frozen=True, kw_only=True):
    """One band of a price grid."""

    start: str
    end: str
    step: str


class MetadataWire(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a created market's metadata that is used."""

    event_ticker: str | None = None


class LifecycleMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A market's life."""

    event_type: str
    market_ticker: str
    exchange_index: int | None = None
    close_ts: int | None = None
    result: str | None = None
    settlement_value: str | None = None
    price_ranges: list[BandWire] | None = None
    additional_metadata: MetadataWire | None = None


class LifecycleFrame(Frame, frozen=True, kw_only=True, tag="market_lifecycle_v2"):
    """``market_lifecycle_v2``."""

    sid: int
    seq: int
    msg: LifecycleMsg
    sending_ts_ms: int | None = None


class EventLifecycleMsg(msgspec.Struct, frozen=True, kw_only=True):
    """An event appeared."""

    event_ticker: str
    exchange_index: int | None = None


class EventLifecycleFrame(Frame, frozen=True, kw_only=True, tag="event_lifecycle"):
    """``event_lifecycle``, on the lifecycle channel."""

    sid: int
    seq: int
    msg: EventLifecycleMsg
    sending_ts_ms: int | None = None


class EventFeeMsg(msgspec.Struct, frozen=True, kw_only=True):
    """An event's fee overrides; both null means cleared."""

    event_ticker: str
    fee_type_override: str | None = None
    fee_multiplier_override: Decimal | None = None


class EventFeeFrame(Frame, frozen=True, kw_only=True, tag="event_fee_update"):
    """``event_fee_update``, on the lifecycle channel."""

    sid: int
    seq: int
    msg: EventFeeMsg
    sending_ts_ms: int | None = None


class SubscribedMsg(msgspec.Struct, frozen=True, kw_only=True):
    """Which channel got which subscription id."""

    channel: str
    sid: int


class SubscribedFrame(Frame, frozen=True, kw_only=True, tag="subscribed"):
    """``subscribed``; never has a ``seq``."""

    msg: SubscribedMsg
    id: int | None = None
    sending_ts_ms: int | None = None


class UnsubscribedFrame(Frame, frozen=True, kw_only=True, tag="unsubscribed"):
    """``unsubscribed``."""

    id: int | None = None
    sid: int | None = None
    seq: int | None = None
    sending_ts_ms: int | None = None


class OkFrame(Frame, frozen=True, kw_only=True, tag="ok"):
    """``ok``; its content (market list or subscription list) is not needed."""

    id: int | None = None
    sid: int | None = None
    seq: int | None = None
    sending_ts_ms: int | None = None


class ErrorMsg(msgspec.Struct, frozen=True, kw_only=True):
    """Code and text of an error."""

    code: int | None = None
    msg: str | None = None


class ErrorFrame(Frame, frozen=True, kw_only=True, tag="error"):
    """``error``; with ``sid`` and ``seq`` when about a subscription."""

    msg: ErrorMsg
    id: int | None = None
    sid: int | None = None
    seq: int | None = None
    sending_ts_ms: int | None = None


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What any frame has: enough to count a number on a subscription."""

    type: str
    sid: int | None = None
    seq: int | None = None
    sending_ts_ms: int | None = None


ControlFrame = SubscribedFrame | UnsubscribedFrame | OkFrame | ErrorFrame
PrivateFrame = FillFrame | UserOrderFrame | MarketPositionFrame | GroupUpdateFrame
LifeFrame = LifecycleFrame | EventLifecycleFrame | EventFeeFrame
OtherFrame = SnapshotFrame | TradeFrame | PrivateFrame | LifeFrame | ControlFrame
AnyFrame = DeltaFrame | OtherFrame

FRAME_DECODER: msgspec.json.Decoder[AnyFrame] = msgspec.json.Decoder(AnyFrame)
ENVELOPE_DECODER: msgspec.json.Decoder[Envelope] = msgspec.json.Decoder(Envelope)

FRAME_TYPES: Final = frozenset(kind.__struct_config__.tag for kind in get_args(AnyFrame))
"""The values of ``type`` that have a struct."""

_ENCODER = msgspec.json.Encoder()


def command(number: int, name: str, params: dict[str, Any] | None = None) -> bytes:
    """Return a command frame; ``number`` is unique on its connection and above zero."""
    content: dict[str, Any] = {"id": number, "cmd": name}
    if params is not None:
        content["params"] = params
    return _ENCODER.encode(content)

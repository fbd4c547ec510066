"""Turn typed feed frames into events in our units. Pure; raises `MalformedWire` and nothing else.

Books arrive as bids of two legs. With ``use_yes_price`` the NO leg is already on
the YES scale; without, a NO bid at q is a YES ask at one minus q. Either way
what leaves here is one YES book with the best level first on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4
from libs.common.kalshi.model import (
    BookSnapshot,
    GroupUpdate,
    Lifecycle,
    OwnFill,
    OwnOrder,
    OwnPosition,
    PublicTrade,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from libs.common.kalshi.wire_feed import (
    BandWire,
    EventFeeFrame,
    EventLifecycleFrame,
    FillFrame,
    GroupUpdateFrame,
    LifecycleFrame,
    LifeFrame,
    MarketPositionFrame,
    PrivateFrame,
    SnapshotFrame,
    TradeFrame,
    UserOrderFrame,
)
from libs.common.kalshi.wire_orders import side_of, status_of
from libs.common.kalshi.wire_text import (
    MalformedWire,
    cash_e6,
    count_e2,
    multiplier_e4,
    price_e4,
    qty_e2,
)
from libs.common.messages.market import BandV1


def levels(
    pairs: Iterable[tuple[str, str]] | None, side: Side, *, is_yes_price: bool
) -> tuple[tuple[int, int], ...]:
    """Return the levels of one side, best first, YES prices.

    Sorted here and not trusted from the wire: the venue's order of NO levels on
    the YES scale is not documented.

    Raises:
        MalformedWire: A text of another form, a negative size, or a price twice.
    """
    found: dict[int, int] = {}
    for price_text, count_text in pairs or ():
        price: int = price_e4(price_text)
        size = count_e2(count_text)
        if not is_yes_price and side is Side.ASK:
            price = DOLLAR_E4 - price
        if price in found:
            raise MalformedWire(f"each price once in a book, was {price_text!r} again")
        if size:
            found[price] = size
    return tuple(sorted(found.items(), reverse=side is Side.BID))


def snapshot_of(frame: SnapshotFrame, *, is_yes_price: bool) -> BookSnapshot:
    """Return the whole book of a snapshot frame."""
    msg = frame.msg
    return BookSnapshot(
        market=msg.market_ticker,
        bids=levels(msg.yes_dollars_fp, Side.BID, is_yes_price=is_yes_price),
        asks=levels(msg.no_dollars_fp, Side.ASK, is_yes_price=is_yes_price),
        clock=msg.clock or 0,
        venue_ms=frame.sending_ts_ms or 0,
    )


def trade_of(frame: TradeFrame) -> PublicTrade:
    """Return a public trade."""
    msg = frame.msg
    return PublicTrade(
        market=msg.market_ticker,
        trade_id=msg.trade_id,
        price_e4=price_e4(msg.yes_price_dollars),
        qty_e2=count_e2(msg.count_fp),
        taker_side=side_of(msg.taker_book_side, msg.taker_outcome_side or msg.taker_side),
        venue_ms=msg.ts_ms or (msg.ts or 0) * 1_000 or frame.sending_ts_ms or 0,
    )


def private_of(frame: PrivateFrame) -> OwnFill | OwnOrder | OwnPosition | GroupUpdate:
    """Return the event of a frame on one of the private channels."""
    if isinstance(frame, FillFrame):
        return _fill(frame)
    if isinstance(frame, UserOrderFrame):
        return _order(frame)
    if isinstance(frame, MarketPositionFrame):
        position = frame.msg
        return OwnPosition(
            VenuePosition(
                market=position.market_ticker,
                shard=0,
                qty_e2=qty_e2(position.position_fp),
                exposure_e6=cash_e6(position.position_cost_dollars),
                realised_e6=cash_e6(position.realized_pnl_dollars),
                fees_e6=cash_e6(position.fees_paid_dollars),
            )
        )
    return _group(frame)


def life_of(frame: LifeFrame) -> Lifecycle:
    """Return the event of a frame on the lifecycle channel."""
    if isinstance(frame, EventFeeFrame):
        return Lifecycle(
            event_type="event_fee_update",
            market="",
            event=frame.msg.event_ticker,
            fee_type=frame.msg.fee_type_override,
            fee_multiplier_e4=multiplier_e4(frame.msg.fee_multiplier_override),
        )
    if isinstance(frame, EventLifecycleFrame):
        return Lifecycle(
            event_type="event_lifecycle",
            market="",
            event=frame.msg.event_ticker,
            shard=frame.msg.exchange_index,
        )
    return _market_life(frame)


def grid_of(bands: Iterable[BandWire]) -> tuple[BandV1, ...]:
    """Return the bands of a price grid."""
    return tuple(
        BandV1(start_e4=price_e4(b.start), end_e4=price_e4(b.end), step_e4=price_e4(b.step)) for b in bands
    )


def _fill(frame: FillFrame) -> OwnFill:
    msg = frame.msg
    return OwnFill(
        VenueFill(
            trade_id=msg.trade_id,
            order_id=msg.order_id,
            client_order_id=msg.client_order_id or "",
            market=msg.market_ticker,
            shard=msg.exchange_index or 0,
            side=side_of(msg.book_side, msg.outcome_side),
            price_e4=price_e4(msg.yes_price_dollars),
            qty_e2=count_e2(msg.count_fp),
            fee_e6=cash_e6(msg.fee_cost),
            is_taker=msg.is_taker,
            venue_ms=msg.ts_ms or (msg.ts or 0) * 1_000,
            position_after_e2=None if msg.post_position_fp is None else qty_e2(msg.post_position_fp),
        )
    )


def _order(frame: UserOrderFrame) -> OwnOrder:
    msg = frame.msg
    return OwnOrder(
        VenueOrder(
            order_id=msg.order_id,
            client_order_id=msg.client_order_id or "",
            market=msg.ticker,
            shard=msg.exchange_index or 0,
            side=side_of(msg.book_side, msg.outcome_side),
            price_e4=price_e4(msg.yes_price_dollars),
            initial_e2=count_e2(msg.initial_count_fp),
            filled_e2=count_e2(msg.fill_count_fp),
            remaining_e2=count_e2(msg.remaining_count_fp),
            status=status_of(msg.status),
            order_group_id=msg.order_group_id or "",
            expires_ms=msg.expiration_ts_ms or None,
            reason=msg.last_update_reason or "",
            updated_ms=msg.last_updated_ts_ms or msg.created_ts_ms or 0,
        )
    )


def _group(frame: GroupUpdateFrame) -> GroupUpdate:
    msg = frame.msg
    return GroupUpdate(
        order_group_id=msg.order_group_id,
        event_type=msg.event_type,
        limit_e2=None if msg.contracts_limit_fp is None else count_e2(msg.contracts_limit_fp),
        venue_ms=msg.ts_ms or frame.sending_ts_ms or 0,
    )


def _market_life(frame: LifecycleFrame) -> Lifecycle:
    msg = frame.msg
    return Lifecycle(
        event_type=msg.event_type,
        market=msg.market_ticker,
        close_ms=None if msg.close_ts is None else msg.close_ts * 1_000,
        result=msg.result,
        settlement_value_e4=None if not msg.settlement_value else price_e4(msg.settlement_value),
        grid=None if msg.price_ranges is None else grid_of(msg.price_ranges),
        shard=msg.exchange_index,
        event=None if msg.additional_metadata is None else msg.additional_metadata.event_ticker,
    )

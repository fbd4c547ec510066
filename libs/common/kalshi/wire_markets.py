"""Series, events, markets, books and the exchange's status as REST answers them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.common.domain.side import Side
from libs.common.kalshi.feed_events import grid_of, levels
from libs.common.kalshi.model import (
    BookSnapshot,
    ExchangeStatus,
    PublicTrade,
    VenueEvent,
    VenueMarket,
    VenueSeries,
)
from libs.common.kalshi.wire_feed import BandWire
from libs.common.kalshi.wire_orders import side_of
from libs.common.kalshi.wire_text import MalformedWire, count_e2, multiplier_e4, price_e4, time_ms
from libs.common.messages.market import MarketState


class MarketWire(msgspec.Struct, frozen=True, kw_only=True):
    """A market; only what a market maker needs."""

    ticker: str
    event_ticker: str
    status: str
    open_time: str
    close_time: str
    price_ranges: list[BandWire]
    can_close_early: bool | None = None
    exchange_index: int | None = None
    title: str | None = None
    yes_sub_title: str | None = None
    result: str | None = None
    settlement_value_dollars: str | None = None
    fee_waiver_expiration_time: str | None = None
    volume_fp: str | None = None


class OneMarket(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /markets/{ticker}``."""

    market: MarketWire


class MarketsPage(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /markets``."""

    markets: list[MarketWire] | None = None
    cursor: str | None = None


class EventWire(msgspec.Struct, frozen=True, kw_only=True):
    """An event."""

    event_ticker: str
    series_ticker: str
    title: str | None = None
    mutually_exclusive: bool | None = None
    exchange_index: int | None = None
    fee_type_override: str | None = None
    fee_multiplier_override: Decimal | None = None
    markets: list[MarketWire] | None = None


class OneEvent(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /events/{ticker}``; ``markets`` beside the event is the old place."""

    event: EventWire
    markets: list[MarketWire] | None = None


class EventsPage(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /events``."""

    events: list[EventWire] | None = None
    cursor: str | None = None


class SeriesWire(msgspec.Struct, frozen=True, kw_only=True):
    """A series."""

    ticker: str
    fee_type: str
    fee_multiplier: Decimal
    title: str | None = None


class OneSeries(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /series/{ticker}``."""

    series: SeriesWire


class BookWire(msgspec.Struct, frozen=True, kw_only=True):
    """Bids of both legs, ascending, each on its own leg's scale."""

    yes_dollars: list[tuple[str, str]] | None = None
    no_dollars: list[tuple[str, str]] | None = None


class OneBook(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /markets/{ticker}/orderbook``; an empty book came as ``{"orderbook":{}}`` once."""

    orderbook_fp: BookWire | None = None


class PublicTradeWire(msgspec.Struct, frozen=True, kw_only=True):
    """A public trade in a listing."""

    trade_id: str
    ticker: str
    count_fp: str
    yes_price_dollars: str
    created_time: str
    taker_book_side: str | None = None
    taker_outcome_side: str | None = None
    taker_side: str | None = None


class TradesPage(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /markets/trades``."""

    trades: list[PublicTradeWire] | None = None
    cursor: str | None = None


class ShardStatusWire(msgspec.Struct, frozen=True, kw_only=True):
    """One shard's status."""

    exchange_index: int
    exchange_active: bool
    trading_active: bool


class StatusWire(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /exchange/status``."""

    exchange_active: bool
    trading_active: bool
    exchange_index_statuses: list[ShardStatusWire] | None = None


_STATES = {state.value: state for state in MarketState}


def market_of(wire: MarketWire) -> VenueMarket:
    """Return a market in our units; a status word we do not know is ``unknown``.

    Raises:
        MalformedWire: A text has another form than its field allows, or the grid is empty.
    """
    if not wire.price_ranges:
        raise MalformedWire(f"price ranges of {wire.ticker}, was an empty list")
    value = wire.settlement_value_dollars
    return VenueMarket(
        market=wire.ticker,
        event=wire.event_ticker,
        shard=wire.exchange_index or 0,
        state=_STATES.get(wire.status, MarketState.UNKNOWN),
        title=wire.title or wire.yes_sub_title or "",
        grid=grid_of(wire.price_ranges),
        open_ms=time_ms(wire.open_time),
        close_ms=time_ms(wire.close_time),
        can_close_early=bool(wire.can_close_early),
        result=wire.result or "",
        settlement_value_e4=price_e4(value) if value else None,
        fee_waiver_until_ms=time_ms(wire.fee_waiver_expiration_time) or None,
        volume_e2=count_e2(wire.volume_fp),
    )


def event_of(wire: EventWire, beside: list[MarketWire] | None = None) -> VenueEvent:
    """Return an event in our units, with its markets where they were asked for.

    Raises:
        MalformedWire: A text has another form than its field allows.
    """
    return VenueEvent(
        event=wire.event_ticker,
        series=wire.series_ticker,
        title=wire.title or "",
        shard=wire.exchange_index or 0,
        is_mutually_exclusive=bool(wire.mutually_exclusive),
        fee_type_override=wire.fee_type_override or None,
        fee_multiplier_override_e4=multiplier_e4(wire.fee_multiplier_override),
        markets=tuple(market_of(m) for m in wire.markets or beside or ()),
    )


def series_of(wire: SeriesWire) -> VenueSeries:
    """Return a series in our units.

    Raises:
        MalformedWire: The multiplier is absurd.
    """
    return VenueSeries(
        series=wire.ticker,
        title=wire.title or "",
        fee_type=wire.fee_type,
        fee_multiplier_e4=multiplier_e4(wire.fee_multiplier) or 0,
    )


def book_of(market: str, wire: OneBook) -> BookSnapshot:
    """Return a REST book on the YES scale; it has neither clock nor time.

    Raises:
        MalformedWire: A text has another form than its field allows.
    """
    book = wire.orderbook_fp or BookWire()
    return BookSnapshot(
        market=market,
        bids=levels(book.yes_dollars, Side.BID, is_yes_price=False),
        asks=levels(book.no_dollars, Side.ASK, is_yes_price=False),
        clock=0,
        venue_ms=0,
    )


def public_trade_of(wire: PublicTradeWire) -> PublicTrade:
    """Return a listed trade in our units.

    Raises:
        MalformedWire: A text has another form than its field allows.
    """
    return PublicTrade(
        market=wire.ticker,
        trade_id=wire.trade_id,
        price_e4=price_e4(wire.yes_price_dollars),
        qty_e2=count_e2(wire.count_fp),
        taker_side=side_of(wire.taker_book_side, wire.taker_outcome_side or wire.taker_side),
        venue_ms=time_ms(wire.created_time),
    )


def status_of_exchange(wire: StatusWire) -> ExchangeStatus:
    """Return the exchange's status; the top-level flags are those of shard 0."""
    by_shard = {0: (wire.exchange_active, wire.trading_active)}
    for shard in wire.exchange_index_statuses or ():
        by_shard[shard.exchange_index] = (shard.exchange_active, shard.trading_active)
    return ExchangeStatus(wire.exchange_active, wire.trading_active, by_shard)

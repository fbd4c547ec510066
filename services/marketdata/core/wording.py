"""Puts what a book holds into the messages that others read."""

from __future__ import annotations

from libs.common.kalshi.model import PublicTrade
from libs.common.messages.market import BookV1, SiblingV1, TopV1, TradeV1
from services.marketdata.core.book import DEPTH, Book


def book_message(
    book: Book, siblings: tuple[SiblingV1, ...], producer: str, *, is_stale: bool, origin_ns: int
) -> BookV1:
    """Return the whole state of a market as a decision needs it."""
    status = book.status
    return BookV1(
        market=status.market,
        event=status.event,
        series=status.series,
        shard=status.shard,
        state=status.state,
        trading_active=status.trading_active,
        grid=status.grid,
        fee=status.fee,
        close_ms=status.close_ms,
        bids=book.bids.top(DEPTH),
        asks=book.asks.top(DEPTH),
        features=book.features_now(),
        siblings=siblings,
        is_stale=is_stale,
        venue_ms=book.venue_ms,
        as_of_ms=book.as_of_ms,
        clock=book.clock,
        sequence=book.sequence,
        producer=producer,
        origin_mono_ns=origin_ns,
    )


def top_message(book: Book, producer: str, *, is_stale: bool) -> TopV1:
    """Return the touch, numbered as the book it was taken from."""
    status = book.status
    bid_e4, bid_e2, ask_e4, ask_e2 = book.touch()
    return TopV1(
        market=status.market,
        event=status.event,
        shard=status.shard,
        state=status.state,
        trading_active=status.trading_active,
        bid_e4=bid_e4,
        bid_e2=bid_e2,
        ask_e4=ask_e4,
        ask_e2=ask_e2,
        last_e4=book.last_e4,
        close_ms=status.close_ms,
        is_stale=is_stale,
        venue_ms=book.venue_ms,
        as_of_ms=book.as_of_ms,
        sequence=book.sequence,
        producer=producer,
    )


def trade_message(trade: PublicTrade) -> TradeV1:
    """Return a public trade."""
    return TradeV1(
        market=trade.market,
        trade_id=trade.trade_id,
        price_e4=trade.price_e4,
        qty_e2=trade.qty_e2,
        taker_side=trade.taker_side.value,
        venue_ms=trade.venue_ms,
    )

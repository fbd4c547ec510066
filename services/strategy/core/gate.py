"""First stages of every strategy: may this market be quoted at all, and what is the book without us.

Each refusal names its reason for both sides. Order: what the operator said,
what we know of ourselves, what we know of the market, what the book shows.
The strategy has no clock: whether the book is too old *now* is the executor's
question at the moment of sending; here a book that marketdata calls stale, or
that vouches for no exchange time, is refused.
"""

from __future__ import annotations

from libs.common.domain.grid import PriceGrid
from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.market import LevelV1, MarketState
from services.strategy.core.settings import M
from services.strategy.core.work import Work


def permission(work: Work[M]) -> str:
    """Refuse unless trading and this market are enabled (A-022, A-023)."""
    if not work.trading_enabled:
        return work.silence_both(Reason.TRADING_DISABLED)
    if not work.settings.enabled:
        return work.silence_both(Reason.MARKET_DISABLED)
    if not work.settings.bid_enabled:
        work.silence(Side.BID, Reason.SIDE_DISABLED)
    if not work.settings.ask_enabled:
        work.silence(Side.ASK, Reason.SIDE_DISABLED)
    return ""


def own_state(work: Work[M]) -> str:
    """Refuse unless the position is known and no order's outcome is open."""
    position = work.position
    if position is None:
        return work.silence_both(Reason.NO_POSITION)
    if position.has_unknown:
        return work.silence_both(Reason.OWN_STATE_UNKNOWN)
    if position.is_settled:
        return work.silence_both(Reason.MARKET_NOT_ACTIVE, "settled")
    work.position_e2 = position.qty_e2
    return ""


def market_state(work: Work[M]) -> str:
    """Refuse a stale book, a market that does not trade, and the last moments before the close."""
    book = work.book
    if book.is_stale or book.as_of_ms <= 0:
        return work.silence_both(Reason.STALE_BOOK)
    if book.state is not MarketState.ACTIVE:
        return work.silence_both(Reason.MARKET_NOT_ACTIVE, book.state.value)
    if not book.trading_active:
        return work.silence_both(Reason.TRADING_PAUSED)
    if work.to_close_ms <= work.settings.stop_ms:
        return work.silence_both(Reason.CLOSING_SOON, f"{work.to_close_ms} ms to close")
    return ""


def two_sided(work: Work[M]) -> str:
    """Refuse an empty or crossed book, and put both prices on its mid."""
    book = work.book
    if not book.bids or not book.asks:
        return work.silence_both(Reason.EMPTY_BOOK)
    bid_e4, ask_e4 = book.bids[0][0], book.asks[0][0]
    if bid_e4 >= ask_e4:
        return work.silence_both(Reason.CROSSED_BOOK, f"{bid_e4} against {ask_e4}")
    work.best_bid_e4, work.best_ask_e4 = bid_e4, ask_e4
    work.grid = PriceGrid.of(book.grid)
    mid_e4 = (bid_e4 + ask_e4) / 2
    work.tick_e4 = work.grid.tick_at(mid_e4)
    work.set_centre_e4(mid_e4)
    return ""


def own_quantity(work: Work[M]) -> str:
    """Take our own resting orders out of the book: we must not quote against ourselves.

    An order of ours that the book does not show yet takes away from what others
    show at its price, which errs towards quoting less.
    """
    position = work.position
    assert position is not None
    own_bids: dict[int, int] = {}
    own_asks: dict[int, int] = {}
    for order in position.resting:
        own = own_bids if order.side is Side.BID else own_asks
        own[order.price_e4] = own.get(order.price_e4, 0) + order.qty_e2
    bid = _first_of_others(work.book.bids, own_bids)
    ask = _first_of_others(work.book.asks, own_asks)
    if bid is None or ask is None:
        return work.silence_both(Reason.EMPTY_BOOK, "without own orders")
    work.net_bid, work.net_ask = bid, ask
    if bid[0] != work.best_bid_e4 or ask[0] != work.best_ask_e4:
        work.set_centre_e4((bid[0] + ask[0]) / 2)
    return ""


def _first_of_others(levels: tuple[LevelV1, ...], own: dict[int, int]) -> LevelV1 | None:
    for price_e4, qty_e2 in levels:
        left_e2 = qty_e2 - own.get(price_e4, 0) if own else qty_e2
        if left_e2 > 0:
            return (price_e4, left_e2)
    return None

"""The ``msg`` of every WebSocket message, as bytes, from the venue's events.

A body knows nothing of subscriptions: it is written once and stamped with sid
and sequence per connection (`channels.py`). Numbers are the venue's decimal
strings; texts go through the JSON encoder, so that nothing needs escaping by
hand. Sources: kalshi-api section 23.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4, DOLLAR_E6, format_cash, format_price, format_qty
from services.simexchange.core.events import (
    EventLifecycle,
    FeeChanged,
    Filled,
    GroupChanged,
    LevelChanged,
    LifecycleChanged,
    OrderChanged,
    PositionChanged,
    Traded,
)
from services.simexchange.core.markets import Market

_json: Final = msgspec.json.Encoder().encode
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000

_PRICES: Final = tuple(format_price(p) for p in range(DOLLAR_E4 + 1))
_qty = lru_cache(maxsize=1 << 14)(format_qty)


@lru_cache(maxsize=4096)
def text(value: str) -> str:
    """Return the text as a JSON string."""
    return _json(value).decode()


@lru_cache(maxsize=1024)
def rfc3339_ms(unix_ms: int) -> str:
    """Return the time as the book channel writes it: UTC, trailing zeros trimmed."""
    return rfc3339(unix_ms * NS_PER_MS)


def rfc3339(unix_ns: int) -> str:
    """Return RFC 3339 in UTC with up to microseconds, trailing zeros trimmed."""
    seconds, rest_ns = divmod(unix_ns, NS_PER_S)
    stamp = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
    micros = rest_ns // 1000
    return f"{stamp}.{micros:06d}".rstrip("0") + "Z" if micros else f"{stamp}Z"


def leg(side: Side) -> str:
    """Return the venue's word for the leg whose bids rest on this side."""
    return "yes" if side is Side.BID else "no"


def level(change: LevelChanged, market_id: str, *, use_yes_price: bool, is_own: bool) -> bytes:
    """Return an ``orderbook_delta`` body; the owner alone sees the client order id."""
    price_e4 = change.price_e4
    if change.side is Side.ASK and not use_yes_price:
        price_e4 = DOLLAR_E4 - price_e4
    own = ""
    if is_own and change.client_order_id:
        own = f',"client_order_id":{text(change.client_order_id)},"subaccount":0'
    return (
        f'{{"market_ticker":{text(change.market)},"market_id":"{market_id}","clock":{change.clock},'
        f'"price_dollars":"{_PRICES[price_e4]}","delta_fp":"{_qty(change.change_e2)}",'
        f'"side":"{leg(change.side)}"{own},"ts":"{rfc3339_ms(change.venue_ms)}","ts_ms":{change.venue_ms}}}'
    ).encode()


def snapshot(market: Market, *, use_yes_price: bool) -> bytes:
    """Return an ``orderbook_snapshot`` body; an empty side has no key, the best level comes last."""
    body: dict[str, object] = {
        "market_ticker": market.ticker,
        "market_id": market.market_id,
        "clock": market.clock,
    }
    if bids := _ladder(market.book.displayed(Side.BID), flip=False):
        body["yes_dollars_fp"] = bids
    if asks := _ladder(market.book.displayed(Side.ASK), flip=not use_yes_price):
        body["no_dollars_fp"] = asks
    return _json(body)


def _ladder(levels: Iterable[tuple[int, int]], *, flip: bool) -> list[tuple[str, str]]:
    ladder = [(_PRICES[DOLLAR_E4 - p if flip else p], _qty(q)) for p, q in levels]
    ladder.reverse()
    return ladder


def ticker(market: Market, venue_ms: int) -> bytes:
    """Return a ``ticker`` body of the market as it stands."""
    bid = market.top(Side.BID) or (0, 0)
    ask = market.top(Side.ASK) or (DOLLAR_E4, 0)
    return _json(
        {
            "market_id": market.market_id,
            "market_ticker": market.ticker,
            "price_dollars": _PRICES[market.last_price_e4],
            "yes_bid_dollars": _PRICES[bid[0]],
            "yes_ask_dollars": _PRICES[ask[0]],
            "yes_bid_size_fp": _qty(bid[1]),
            "yes_ask_size_fp": _qty(ask[1]),
            "last_trade_size_fp": _qty(market.last_trade_e2),
            "volume_fp": _qty(market.volume_e2),
            "open_interest_fp": _qty(market.open_interest_e2),
            "dollar_volume": market.volume_e6 // DOLLAR_E6,
            "dollar_open_interest": market.open_interest_e2 // 100,
            "ts": venue_ms // 1000,
            "ts_ms": venue_ms,
            "time": rfc3339_ms(venue_ms),
        }
    )


def trade(trade: Traded) -> bytes:
    """Return a ``trade`` body."""
    taker_leg = leg(trade.taker_side)
    ts_ms = trade.venue_ns // NS_PER_MS
    return (
        f'{{"trade_id":{_json(trade.trade_id).decode()},"market_ticker":{text(trade.market)},'
        f'"yes_price_dollars":"{_PRICES[trade.price_e4]}",'
        f'"no_price_dollars":"{_PRICES[DOLLAR_E4 - trade.price_e4]}","count_fp":"{_qty(trade.qty_e2)}",'
        f'"taker_side":"{taker_leg}","taker_outcome_side":"{taker_leg}",'
        f'"taker_book_side":"{trade.taker_side.value}","is_block_trade":false,'
        f'"ts":{ts_ms // 1000},"ts_ms":{ts_ms}}}'
    ).encode()


def fill(fill: Filled) -> bytes:
    """Return a ``fill`` body, the deprecated direction words included, as the venue sends them."""
    outcome = leg(fill.side)
    ts_ms = fill.venue_ns // NS_PER_MS
    body: dict[str, object] = {
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "market_ticker": fill.market,
        "exchange_index": fill.shard,
        "is_taker": fill.is_taker,
        "side": outcome,
        "action": "buy",
        "purchased_side": outcome,
        "outcome_side": outcome,
        "book_side": fill.side.value,
        "yes_price_dollars": _PRICES[fill.price_e4],
        "count_fp": _qty(fill.qty_e2),
        "fee_cost": format_cash(fill.fee_e6),
        "post_position_fp": _qty(fill.position_after_e2),
        "ts": ts_ms // 1000,
        "ts_ms": ts_ms,
        "subaccount": 0,
    }
    if fill.client_order_id:
        body["client_order_id"] = fill.client_order_id
    return _json(body)


def user_order(change: OrderChanged, user_id: str) -> bytes:
    """Return a ``user_order`` body."""
    order = change.order
    outcome = leg(order.side)
    body: dict[str, object] = {
        "order_id": order.order_id,
        "user_id": user_id,
        "ticker": order.market,
        "exchange_index": order.shard,
        "status": order.status.value,
        "side": outcome,
        "is_yes": order.side is Side.BID,
        "outcome_side": outcome,
        "book_side": order.side.value,
        "yes_price_dollars": _PRICES[order.price_e4],
        "fill_count_fp": _qty(order.filled_e2),
        "remaining_count_fp": _qty(order.remaining_e2),
        "initial_count_fp": _qty(order.initial_e2),
        "taker_fill_cost_dollars": format_cash(order.taker_cost_e6),
        "maker_fill_cost_dollars": format_cash(order.maker_cost_e6),
        "taker_fees_dollars": format_cash(order.taker_fees_e6),
        "maker_fees_dollars": format_cash(order.maker_fees_e6),
        "client_order_id": order.client_order_id,
        "self_trade_prevention_type": order.stp.value,
        "created_time": rfc3339(order.created_ns),
        "created_ts_ms": order.created_ns // NS_PER_MS,
        "last_update_time": rfc3339(order.updated_ns),
        "last_updated_ts_ms": order.updated_ns // NS_PER_MS,
        "subaccount_number": 0,
    }
    if change.reason:
        body["last_update_reason"] = change.reason.value
    if order.order_group_id:
        body["order_group_id"] = order.order_group_id
    if order.expires_ns is not None:
        body["expiration_time"] = rfc3339(order.expires_ns)
        body["expiration_ts_ms"] = order.expires_ns // NS_PER_MS
    return _json(body)


def position(change: PositionChanged, user_id: str) -> bytes:
    """Return a ``market_position`` body."""
    return _json(
        {
            "user_id": user_id,
            "market_ticker": change.market,
            "position_fp": _qty(change.qty_e2),
            "position_cost_dollars": format_cash(change.cost_e6),
            "realized_pnl_dollars": format_cash(change.realised_e6),
            "fees_paid_dollars": format_cash(change.fees_e6),
            "position_fee_cost_dollars": "0.000000",
            "volume_fp": _qty(change.volume_e2),
            "subaccount": 0,
        }
    )


def group(change: GroupChanged) -> bytes:
    """Return an ``order_group_updates`` body."""
    body: dict[str, object] = {
        "event_type": change.event_type,
        "order_group_id": change.order_group_id,
        "ts_ms": change.venue_ms,
    }
    if change.limit_e2 is not None:
        body["contracts_limit_fp"] = _qty(change.limit_e2)
    return _json(body)


def lifecycle(change: LifecycleChanged) -> bytes:
    """Return a ``market_lifecycle_v2`` body."""
    return _json({"event_type": change.event_type, "market_ticker": change.market, **change.fields})


def event_lifecycle(change: EventLifecycle) -> bytes:
    """Return an ``event_lifecycle`` body."""
    return _json({"event_ticker": change.event, **change.fields})


def fee_update(change: FeeChanged) -> bytes:
    """Return an ``event_fee_update`` body."""
    multiplier = None if change.multiplier_e4 is None else change.multiplier_e4 / 10_000
    return _json(
        {
            "event_ticker": change.event,
            "fee_type_override": change.fee_type,
            "fee_multiplier_override": multiplier,
        }
    )

"""Answers about series, events, markets, books and trades, in the venue's words.

What a market's source hands over as ``extra`` is sent as it came, except the
fields that move or that would tell the end of a recorded life
(``previous_*``, result, volumes): those are the venue's own, always.
"""

from __future__ import annotations

from typing import Final

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4, format_price, format_qty
from libs.common.messages.market import MarketState
from services.simexchange.core.announcements import FeeChange
from services.simexchange.core.events import Traded
from services.simexchange.core.lifecycle import price_ranges
from services.simexchange.core.markets import EventSpec, Market, SeriesSpec
from services.simexchange.shell.times import rfc3339

MARKET_EXTRA: Final = frozenset(
    {
        "expected_expiration_time", "latest_expiration_time", "expiration_time", "occurrence_datetime",
        "early_close_condition", "strike_type", "floor_strike", "cap_strike", "functional_strike",
        "custom_strike", "rules_primary", "rules_secondary", "primary_participant_key", "subtitle",
        "fee_waiver_expiration_time",
    }
)  # fmt: skip
"""Fields of a source's market that are sent on."""
EVENT_EXTRA: Final = frozenset(
    {"category", "strike_date", "strike_period", "product_metadata", "settlement_sources"}
)
SERIES_EXTRA: Final = frozenset(
    {
        "contract_url",
        "contract_terms_url",
        "settlement_sources",
        "additional_prohibitions",
        "product_metadata",
    }
)
NS_PER_S = 1_000_000_000

FILTER_STATES: Final = {
    "unopened": {MarketState.INITIALIZED},
    "open": {MarketState.ACTIVE},
    "paused": {MarketState.INACTIVE},
    "closed": {MarketState.CLOSED, MarketState.DETERMINED, MarketState.DISPUTED, MarketState.AMENDED},
    "settled": {MarketState.FINALIZED},
}
"""The filter's words differ from the field's (kalshi-api 9.3)."""


def market_body(market: Market) -> dict[str, object]:
    """Return a ``Market``."""
    spec = market.spec
    bid, ask = market.top(Side.BID), market.top(Side.ASK)
    bid_e4, ask_e4 = bid[0] if bid else 0, ask[0] if ask else DOLLAR_E4
    expiration = rfc3339(market.close_ns)
    body: dict[str, object] = {
        "expected_expiration_time": expiration,
        "expiration_time": expiration,
        "latest_expiration_time": expiration,
        "rules_primary": "",
        "rules_secondary": "",
    }
    body.update((key, value) for key, value in spec.extra.items() if key in MARKET_EXTRA)
    body |= {
        "ticker": spec.market,
        "event_ticker": spec.event,
        "market_type": "binary",
        "title": spec.title,
        "yes_sub_title": spec.yes_subtitle,
        "no_sub_title": spec.no_subtitle,
        "exchange_index": market.shard,
        "created_time": rfc3339(market.created_ns),
        "updated_time": rfc3339(market.updated_ns),
        "open_time": rfc3339(market.open_ns),
        "close_time": rfc3339(market.close_ns),
        "can_close_early": spec.can_close_early,
        "settlement_timer_seconds": int(spec.settlement_timer_s),
        "status": market.state.value,
        "price_level_structure": market.structure,
        "price_ranges": price_ranges(market.grid),
        "yes_bid_dollars": format_price(bid_e4),
        "yes_ask_dollars": format_price(ask_e4),
        "no_bid_dollars": format_price(DOLLAR_E4 - ask_e4),
        "no_ask_dollars": format_price(DOLLAR_E4 - bid_e4),
        "yes_bid_size_fp": format_qty(bid[1] if bid else 0),
        "yes_ask_size_fp": format_qty(ask[1] if ask else 0),
        "last_price_dollars": format_price(market.last_price_e4),
        "previous_price_dollars": format_price(0),
        "previous_yes_bid_dollars": format_price(0),
        "previous_yes_ask_dollars": format_price(0),
        "volume_fp": format_qty(market.volume_e2),
        "volume_24h_fp": format_qty(market.volume_e2),
        "open_interest_fp": format_qty(market.open_interest_e2),
        "liquidity_dollars": format_price(0),
        "notional_value_dollars": format_price(DOLLAR_E4),
        "result": market.result,
        "expiration_value": "",
        "settlement_bounds_type": "default",
    }
    if market.value_e4 is not None:
        body["settlement_value_dollars"] = format_price(market.value_e4)
    if market.settled_ns is not None:
        body["settlement_ts"] = rfc3339(market.settled_ns)
    return body


def event_body(event: EventSpec, markets: list[Market] | None = None) -> dict[str, object]:
    """Return an ``EventData``, with its markets nested where they are given."""
    body: dict[str, object] = {"category": "", "settlement_sources": []}
    body.update((key, value) for key, value in event.extra.items() if key in EVENT_EXTRA)
    body |= {
        "event_ticker": event.event,
        "series_ticker": event.series,
        "title": event.title,
        "sub_title": event.subtitle,
        "mutually_exclusive": event.is_mutually_exclusive,
        "collateral_return_type": "MECNET" if event.is_mutually_exclusive else "",
        "exchange_index": event.shard,
    }
    if event.fee_type_override is not None:
        body["fee_type_override"] = event.fee_type_override
    if event.fee_multiplier_override_e4 is not None:
        body["fee_multiplier_override"] = _multiplier(event.fee_multiplier_override_e4)
    if markets is not None:
        body["markets"] = [market_body(market) for market in markets]
    return body


def series_body(series: SeriesSpec) -> dict[str, object]:
    """Return a ``Series``."""
    body: dict[str, object] = {
        "contract_url": "",
        "contract_terms_url": "",
        "settlement_sources": [],
        "additional_prohibitions": [],
    }
    body.update((key, value) for key, value in series.extra.items() if key in SERIES_EXTRA)
    return body | {
        "ticker": series.series,
        "title": series.title,
        "frequency": series.frequency,
        "category": series.category,
        "categories": [series.category],
        "tags": list(series.tags),
        "fee_type": series.fee_type,
        "fee_multiplier": _multiplier(series.fee_multiplier_e4),
        "exchange_index": series.shard,
    }


def series_fee_body(change: FeeChange) -> dict[str, object]:
    """Return a ``SeriesFeeChange``."""
    return {
        "id": change.change_id,
        "series_ticker": change.series,
        "fee_type": change.fee_type,
        "fee_multiplier": _multiplier(change.multiplier_e4 or 0),
        "scheduled_ts": rfc3339(change.at_ns),
    }


def event_fee_body(change: FeeChange) -> dict[str, object]:
    """Return an ``EventFeeChange``; an override that is cleared is null."""
    multiplier_e4 = change.multiplier_e4
    return {
        "id": change.change_id,
        "event_ticker": change.event,
        "series_ticker": change.series,
        "fee_type_override": change.fee_type,
        "fee_multiplier_override": None if multiplier_e4 is None else _multiplier(multiplier_e4),
        "scheduled_ts": rfc3339(change.at_ns),
    }


def book_body(market: Market, depth: int) -> dict[str, object]:
    """Return both legs' bids, ascending, best last; ``depth`` 0 is everything."""
    bids = list(market.book.displayed(Side.BID))
    asks = list(market.book.displayed(Side.ASK))
    if depth:
        bids, asks = bids[:depth], asks[:depth]
    return {
        "yes_dollars": [[format_price(price), format_qty(qty)] for price, qty in reversed(bids)],
        "no_dollars": [[format_price(DOLLAR_E4 - price), format_qty(qty)] for price, qty in reversed(asks)],
    }


def trade_body(trade: Traded) -> dict[str, object]:
    """Return a ``Trade``, with the deprecated ``taker_side`` that clients still require."""
    outcome = "yes" if trade.taker_side is Side.BID else "no"
    return {
        "trade_id": trade.trade_id,
        "ticker": trade.market,
        "count_fp": format_qty(trade.qty_e2),
        "yes_price_dollars": format_price(trade.price_e4),
        "no_price_dollars": format_price(DOLLAR_E4 - trade.price_e4),
        "taker_side": outcome,
        "taker_outcome_side": outcome,
        "taker_book_side": trade.taker_side.value,
        "is_block_trade": False,
        "created_time": rfc3339(trade.venue_ns),
    }


def _multiplier(multiplier_e4: int) -> float | int:
    return multiplier_e4 // DOLLAR_E4 if multiplier_e4 % DOLLAR_E4 == 0 else multiplier_e4 / DOLLAR_E4

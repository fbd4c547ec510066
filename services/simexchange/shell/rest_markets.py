"""Public market data: series, events, markets, books, trades (kalshi-api 9 and 10)."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from services.simexchange.core.announcements import FeeChange
from services.simexchange.core.entry import NOT_FOUND
from services.simexchange.core.events import Traded
from services.simexchange.core.markets import EventSpec, Market
from services.simexchange.shell.door import Door, Route
from services.simexchange.shell.market_bodies import (
    FILTER_STATES,
    book_body,
    event_body,
    event_fee_body,
    market_body,
    series_body,
    series_fee_body,
    trade_body,
)
from services.simexchange.shell.paging import Key, int_of, limit_of, page, within, words_of
from services.simexchange.shell.reply import Call, Reply, bad_parameter, invalid_parameters, ok, refused

DEPTH_MAX = 100
_TIME_FILTERS: Final = {
    "created": {"unopened", "open", ""},
    "close": {"closed", ""},
    "settled": {"settled", ""},
    "updated": {""},
}
"""Which status each pair of time filters may go with (kalshi-api 9.3)."""


class MarketRoutes:
    """Handlers of the public reads."""

    def __init__(self, door: Door) -> None:
        self._floor = door.venue.floor

    def routes(self) -> list[Route]:
        """Return the endpoints; a signed call bills the read bucket all the same."""
        rows = [
            ("/series", self.series_list),
            ("/series/fee_changes", self.series_fee_changes),
            ("/series/{}", self.series),
            ("/events", self.events),
            ("/events/multivariate", self.no_combos),
            ("/events/fee_changes", self.event_fee_changes),
            ("/events/{}", self.event),
            ("/events/{}/metadata", self.event_metadata),
            ("/markets", self.markets),
            ("/markets/trades", self.trades),
            ("/markets/orderbooks", self.orderbooks),
            ("/markets/{}", self.market),
            ("/markets/{}/orderbook", self.orderbook),
            ("/incentive_programs", self.no_programs),
        ]
        return [Route("GET", template, handler, is_public=True) for template, handler in rows]

    def series_list(self, call: Call) -> Reply:
        """List series."""
        category = call.get("category")
        found = [s for s in self._floor.series.values() if not category or s.category == category]
        return ok({"series": [series_body(series) for series in found]})

    def series(self, call: Call) -> Reply:
        """Show one series."""
        series = self._floor.series.get(call.path_args[0])
        return refused(NOT_FOUND) if series is None else ok({"series": series_body(series)})

    def events(self, call: Call) -> Reply:
        """List events; a status matches when any of the event's markets has it."""
        limit = limit_of(call, "GetEvents", default=200, highest=200)
        status, series, tickers = call.get("status"), call.get("series_ticker"), words_of(call, "tickers")
        if status and (status not in FILTER_STATES or status == "paused"):
            raise bad_parameter("GetEvents", "status", "oneof")
        by_event = self._by_event()
        found = [
            event
            for event in self._floor.events.values()
            if (not series or event.series == series)
            and (not tickers or event.event in tickers)
            and (not status or any(m.state in FILTER_STATES[status] for m in by_event[event.event]))
        ]
        shown, cursor = page(found, _event_key, call, limit)
        is_nested = call.get("with_nested_markets") == "true"
        bodies = [event_body(event, by_event[event.event] if is_nested else None) for event in shown]
        return ok({"events": bodies, "cursor": cursor})

    def event(self, call: Call) -> Reply:
        """Show one event, its markets beside it or nested in it."""
        event = self._floor.events.get(call.path_args[0])
        if event is None:
            return refused(NOT_FOUND)
        is_nested, is_bare = call.get("with_nested_markets") == "true", call.get("exclude_markets") == "true"
        if is_nested and is_bare:
            raise invalid_parameters("with_nested_markets and exclude_markets exclude one another")
        markets = [] if is_bare else self._by_event()[event.event]
        if is_nested:
            return ok({"event": event_body(event, markets), "markets": []})
        return ok({"event": event_body(event), "markets": [market_body(market) for market in markets]})

    def event_metadata(self, call: Call) -> Reply:
        """Show pictures and sources, of which there are none."""
        event = self._floor.events.get(call.path_args[0])
        if event is None:
            return refused(NOT_FOUND)
        details = [
            {"market_ticker": market.ticker, "image_url": "", "color_code": ""}
            for market in self._by_event()[event.event]
        ]
        return ok({"image_url": "", "settlement_sources": [], "market_details": details})

    def markets(self, call: Call) -> Reply:
        """List markets, newest first."""
        limit = limit_of(call, "GetMarkets", lowest=0)
        status = call.get("status")
        if status and status not in FILTER_STATES:
            raise bad_parameter("GetMarkets", "status", "oneof")
        for name, allowed in _TIME_FILTERS.items():
            if (call.get(f"min_{name}_ts") or call.get(f"max_{name}_ts")) and status not in allowed:
                raise invalid_parameters(f"{name}_ts filters do not go with status {status}")
        shown, cursor = page(list(self._asked(status, call)), _market_key, call, limit)
        return ok({"markets": [market_body(market) for market in shown], "cursor": cursor})

    def market(self, call: Call) -> Reply:
        """Show one market."""
        market = self._floor.markets.get(call.path_args[0])
        return refused(NOT_FOUND) if market is None else ok({"market": market_body(market)})

    def orderbook(self, call: Call) -> Reply:
        """Show one book."""
        depth = int_of(call, "GetMarketOrderbook", "depth") or 0
        if not 0 <= depth <= DEPTH_MAX:
            raise bad_parameter("GetMarketOrderbook", "depth", "lte")
        market = self._floor.markets.get(call.path_args[0])
        return refused(NOT_FOUND) if market is None else ok({"orderbook_fp": book_body(market, depth)})

    def orderbooks(self, call: Call) -> Reply:
        """Show several books; unknown markets are left out."""
        tickers = words_of(call, "tickers")
        if not 1 <= len(tickers) <= DEPTH_MAX:
            raise bad_parameter("GetMarketOrderbooks", "tickers", "lte" if tickers else "required")
        books = [
            {"ticker": ticker, "orderbook_fp": book_body(self._floor.markets[ticker], 0)}
            for ticker in tickers
            if ticker in self._floor.markets
        ]
        return ok({"orderbooks": books})

    def trades(self, call: Call) -> Reply:
        """List public trades, newest first."""
        limit, ticker = limit_of(call, "GetTrades", lowest=0), call.get("ticker")
        if call.get("is_block_trade") == "true":
            return ok({"trades": [], "cursor": ""})
        asked = self._floor.markets.get(ticker) if ticker else None
        markets = [asked] if asked is not None else [] if ticker else list(self._floor.markets.values())
        is_recent = within(call, "GetTrades", "min_ts", "max_ts")
        found = [
            (number, trade)
            for number, trade in enumerate(itertools.chain.from_iterable(market.trades for market in markets))
            if is_recent(trade.venue_ns)
        ]
        shown, cursor = page(found, _trade_key, call, limit)
        return ok({"trades": [trade_body(trade) for _, trade in shown], "cursor": cursor})

    def series_fee_changes(self, call: Call) -> Reply:
        """List announced fee changes of series; those of the past where they are asked for."""
        is_all, series = call.get("show_historical") == "true", call.get("series_ticker")
        found = self._floor.announced.fees(call.now_ns, is_of_events=False, is_all=is_all)
        rows = [series_fee_body(change) for change in found if not series or change.series == series]
        return ok({"series_fee_change_arr": rows})

    def event_fee_changes(self, call: Call) -> Reply:
        """List announced fee changes of events."""
        limit, event = limit_of(call, "GetEventFeeChanges"), call.get("event_ticker")
        found = self._floor.announced.fees(call.now_ns, is_of_events=True)
        asked = [change for change in found if not event or change.event == event]
        shown, cursor = page(asked, _fee_key, call, limit)
        return ok({"event_fee_changes": [event_fee_body(change) for change in shown], "cursor": cursor})

    def no_combos(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """List combos: none."""
        return ok({"events": [], "cursor": ""})

    def no_programs(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """List incentive programs: none."""
        return ok({"incentive_programs": [], "next_cursor": ""})

    def _by_event(self) -> dict[str, list[Market]]:
        found: dict[str, list[Market]] = defaultdict(list)
        for market in self._floor.markets.values():
            found[market.spec.event].append(market)
        return found

    def _asked(self, status: str, call: Call) -> Iterator[Market]:
        """Return the markets that pass all filters of the request."""
        tickers, event, series = (
            words_of(call, "tickers"),
            call.get("event_ticker"),
            call.get("series_ticker"),
        )
        created, close, settled, updated = (
            within(call, "GetMarkets", f"min_{name}_ts", f"max_{name}_ts") for name in _TIME_FILTERS
        )
        for market in self._floor.markets.values() if call.get("mve_filter") != "only" else ():
            if (
                (not status or market.state in FILTER_STATES[status])
                and (not tickers or market.ticker in tickers)
                and (not event or market.spec.event == event)
                and (not series or market.event.series == series)
                and created(market.created_ns)
                and close(market.close_ns)
                and settled(market.settled_ns or 0)
                and updated(market.updated_ns)
            ):
                yield market


def _fee_key(change: FeeChange) -> Key:
    return change.at_ns, change.change_id


def _event_key(event: EventSpec) -> Key:
    return 0, event.event


def _market_key(market: Market) -> Key:
    return market.created_ns, market.ticker


def _trade_key(row: tuple[int, Traded]) -> Key:
    return row[1].venue_ns, f"{row[0]:09d}"

"""Everything we ask the venue over REST. Reads lag behind writes by up to half a second.

Who decides on these answers must expect that: write responses and the private
feed are the truth, listings confirm it later (kalshi-api 14.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec

from libs.common.kalshi import wire_account, wire_markets, wire_orders, wire_terms
from libs.common.kalshi.model import (
    AccountLimits,
    BookSnapshot,
    EndpointCosts,
    ExchangeSchedule,
    ExchangeStatus,
    FeeChange,
    PublicTrade,
    VenueBalance,
    VenueEvent,
    VenueFill,
    VenueFunding,
    VenueKeys,
    VenueMarket,
    VenueOrder,
    VenueOrderGroup,
    VenuePosition,
    VenueSeries,
    VenueSettlement,
    VenueTransfer,
)
from libs.common.kalshi.outcome import Answer
from libs.common.kalshi.reading import Reading
from libs.common.kalshi.wire_text import MalformedWire, count_e2
from libs.common.runtime.errors import VenueProtocolError, VenueRefused, VenueUnavailable

W = TypeVar("W")
V = TypeVar("V")

PAGE: Final = 1_000
EVENTS_PAGE: Final = 200
FUNDING_PAGE: Final = 500

_STATUS = msgspec.json.Decoder(wire_markets.StatusWire)
_SERIES = msgspec.json.Decoder(wire_markets.OneSeries)
_EVENT = msgspec.json.Decoder(wire_markets.OneEvent)
_EVENTS = msgspec.json.Decoder(wire_markets.EventsPage)
_MARKET = msgspec.json.Decoder(wire_markets.OneMarket)
_MARKETS = msgspec.json.Decoder(wire_markets.MarketsPage)
_BOOK = msgspec.json.Decoder(wire_markets.OneBook)
_TRADES = msgspec.json.Decoder(wire_markets.TradesPage)
_ORDER = msgspec.json.Decoder(wire_orders.OneOrder)
_ORDERS = msgspec.json.Decoder(wire_orders.OrdersPage)
_FILLS = msgspec.json.Decoder(wire_orders.FillsPage)
_QUEUE = msgspec.json.Decoder(wire_orders.QueuePositions)
_GROUP = msgspec.json.Decoder(wire_orders.OneGroup)
_GROUPS = msgspec.json.Decoder(wire_orders.GroupsAnswer)
_POSITIONS = msgspec.json.Decoder(wire_account.PositionsPage)
_SETTLEMENTS = msgspec.json.Decoder(wire_account.SettlementsPage)
_TRANSFERS = msgspec.json.Decoder(wire_account.TransfersPage)
_DEPOSITS = msgspec.json.Decoder(wire_account.DepositsPage)
_WITHDRAWALS = msgspec.json.Decoder(wire_account.WithdrawalsPage)
_BALANCE = msgspec.json.Decoder(wire_account.BalanceWire)
_LIMITS = msgspec.json.Decoder(wire_account.LimitsWire)
_COSTS = msgspec.json.Decoder(wire_account.CostsWire)
_KEYS = msgspec.json.Decoder(wire_terms.KeysAnswer)
_SCHEDULE = msgspec.json.Decoder(wire_terms.ScheduleAnswer)
_SERIES_FEES = msgspec.json.Decoder(wire_terms.SeriesFeesAnswer)
_EVENT_FEES = msgspec.json.Decoder(wire_terms.EventFeesPage)


class VenueReader(Reading):
    """Typed reads. All raise `VenueUnavailable`, `VenueRefused` or `VenueProtocolError`.

    Construct as `VenueReader(base_url, transport, signer, clock)`; without a
    signer only public reads work. Call `use_limits` once the limits are known.
    """

    # The exchange ----------------------------------------------------------------------------------

    async def exchange_status(self) -> ExchangeStatus:
        """Return whether exchange and shards trade; a 5xx with the status in its body is an answer."""
        result = await self._line.call("GET", self._line.path("exchange", "status"))
        if not isinstance(result, Answer):
            raise VenueUnavailable(f"exchange status: {result.reason}")
        try:
            return wire_markets.status_of_exchange(wire_orders.decode_with(_STATUS, result.body))
        except MalformedWire as e:
            if result.status >= 400:
                raise VenueUnavailable(f"exchange status: {result.status}") from None
            raise VenueProtocolError(str(e)) from None

    async def series(self, series: str) -> VenueSeries:
        """Return one series."""
        answer = await self.one(_SERIES, ("series", series), template="series/:series_ticker")
        return _read(wire_markets.series_of, answer.series)

    async def event(self, event: str, *, with_markets: bool = True) -> VenueEvent:
        """Return one event, with its markets if wanted."""
        query = (("with_nested_markets", "true" if with_markets else "false"),)
        answer = await self.one(_EVENT, ("events", event), query=query, template="events/:event_ticker")
        beside = answer.markets if with_markets else None
        return _read(lambda wire: wire_markets.event_of(wire, beside), answer.event)

    async def events(
        self, *, status: str | None = "open", series: str | None = None, with_markets: bool = False
    ) -> list[VenueEvent]:
        """Return all events; combos are not among them."""
        query = _query(
            limit=EVENTS_PAGE,
            status=status,
            series_ticker=series,
            with_nested_markets="true" if with_markets else None,
        )
        found = await self.pages(_EVENTS, ("events",), lambda page: page.events, query=query)
        return _each(wire_markets.event_of, found)

    async def markets(
        self,
        *,
        status: str | None = "open",
        series: str | None = None,
        event: str | None = None,
        tickers: Iterable[str] = (),
    ) -> list[VenueMarket]:
        """Return all markets that match; the filter's words differ from a market's own status words.

        Args:
            status: ``unopened``, ``open``, ``paused``, ``closed`` or ``settled``; None for all.
            series: Of this series only.
            event: Of this event only.
            tickers: These only.
        """
        query = _query(
            limit=PAGE,
            status=status,
            series_ticker=series,
            event_ticker=event,
            tickers=",".join(tickers) or None,
        )
        found = await self.pages(_MARKETS, ("markets",), lambda page: page.markets, query=query)
        return _each(wire_markets.market_of, found)

    async def market(self, market: str) -> VenueMarket:
        """Return one market."""
        answer = await self.one(_MARKET, ("markets", market), template="markets/:ticker")
        return _read(wire_markets.market_of, answer.market)

    async def orderbook(self, market: str) -> BookSnapshot:
        """Return a whole book; may be seconds old behind a cache, so never quote from it."""
        parts = ("markets", market, "orderbook")
        answer = await self.one(_BOOK, parts, template="markets/:ticker/orderbook")
        return _read(lambda wire: wire_markets.book_of(market, wire), answer)

    async def trades(self, market: str, *, min_ts: int | None = None) -> list[PublicTrade]:
        """Return a market's public trades, newest first; ``min_ts`` in Unix seconds."""
        query = _query(limit=PAGE, ticker=market, min_ts=min_ts)
        found = await self.pages(_TRADES, ("markets", "trades"), lambda page: page.trades, query=query)
        return _each(wire_markets.public_trade_of, found)

    # The venue's terms -----------------------------------------------------------------------------

    async def schedule(self) -> ExchangeSchedule:
        """Return opening hours and maintenance windows."""
        return _read(wire_terms.schedule_of, await self.one(_SCHEDULE, ("exchange", "schedule")))

    async def fee_changes(self) -> list[FeeChange]:
        """Return all announced fee changes that are still to come, of series and of events."""
        answer = await self.one(_SERIES_FEES, ("series", "fee_changes"))
        parts, query = ("events", "fee_changes"), _query(limit=PAGE)
        found = await self.pages(_EVENT_FEES, parts, lambda page: page.event_fee_changes, query=query)
        of_series = _each(wire_terms.series_fee_of, answer.series_fee_change_arr or ())
        return [*of_series, *_each(wire_terms.event_fee_of, found)]

    async def api_keys(self) -> VenueKeys:
        """Return the account's keys with what each may do; one locked to a subaccount may not ask."""
        return _read(wire_terms.keys_of, await self.one(_KEYS, ("api_keys",)))

    # Own orders ------------------------------------------------------------------------------------

    async def orders(
        self, status: str | None = None, market: str | None = None, *, min_ts: int | None = None
    ) -> list[VenueOrder]:
        """Return all own orders of all shards: ``resting``, ``canceled``, ``executed``, or None for all."""
        query = _query(limit=PAGE, status=status, ticker=market, min_ts=min_ts)
        found = await self.pages(_ORDERS, ("portfolio", "orders"), lambda page: page.orders, query=query)
        return _each(wire_orders.order_of, found)

    async def resting(self, shard: int, *, most: int | None = None) -> list[VenueOrder]:
        """Return the own orders that rest on one shard, newest first; only the first ``most`` if given.

        For whoever halts: each page is asked for once, without waiting for the budget.
        """
        query, parts = (
            _query(limit=most or PAGE, status="resting", exchange_index=shard),
            ("portfolio", "orders"),
        )
        if most is not None:
            first = await self.one(_ORDERS, parts, query=query, is_urgent=True)
            found = first.orders or []
            # A short page reads as the whole listing, so one with a cursor must not stay alone.
            if len(found) >= most or not first.cursor:
                return _each(wire_orders.order_of, found)
        found = await self.pages(_ORDERS, parts, lambda page: page.orders, query=query, is_urgent=True)
        return _each(wire_orders.order_of, found)

    async def order(self, order_id: str) -> VenueOrder | None:
        """Return one own order, None if the venue does not know it (or not yet)."""
        template = "portfolio/orders/:order_id"
        try:
            answer = await self.one(_ORDER, ("portfolio", "orders", order_id), template=template)
        except VenueRefused as e:
            if e.status == 404:
                return None
            raise
        return _read(wire_orders.order_of, answer.order)

    async def fills(
        self, min_ts: int | None = None, order_id: str | None = None, *, market: str | None = None
    ) -> list[VenueFill]:
        """Return own fills of all shards, newest first; ``min_ts`` in Unix seconds."""
        query = _query(limit=PAGE, min_ts=min_ts, order_id=order_id, ticker=market)
        found = await self.pages(_FILLS, ("portfolio", "fills"), lambda page: page.fills, query=query)
        return _each(wire_orders.fill_of, found)

    async def queue_positions(self, markets: Iterable[str]) -> dict[str, int]:
        """Return hundredths of contracts ahead of each resting order in these markets."""
        query = _query(market_tickers=",".join(markets))
        parts = ("portfolio", "orders", "queue_positions")
        answer = await self.one(_QUEUE, parts, query=query)
        return dict(
            _each(
                lambda wire: (wire.order_id, int(count_e2(wire.queue_position_fp))),
                answer.queue_positions or [],
            )
        )

    async def order_groups(self) -> list[VenueOrderGroup]:
        """Return all own order groups."""
        answer = await self.one(_GROUPS, ("portfolio", "order_groups"))
        return _each(wire_orders.group_of, answer.order_groups or [])

    async def order_group(self, order_group_id: str) -> VenueOrderGroup | None:
        """Return one order group with its orders, None if the venue does not know it."""
        template = "portfolio/order_groups/:order_group_id"
        try:
            answer = await self.one(_GROUP, ("portfolio", "order_groups", order_group_id), template=template)
        except VenueRefused as e:
            if e.status == 404:
                return None
            raise
        return _read(lambda wire: wire_orders.one_group_of(order_group_id, wire), answer)

    # Own money -------------------------------------------------------------------------------------

    async def positions(self, settlement: str = "unsettled") -> list[VenuePosition]:
        """Return positions of the primary account: ``unsettled``, ``settled`` or ``all`` markets."""
        query = _query(limit=PAGE, settlement_status=settlement)
        parts = ("portfolio", "positions")
        found = await self.pages(_POSITIONS, parts, lambda page: page.market_positions, query=query)
        return _each(wire_account.position_of, found)

    async def settlements(self, *, min_ts: int | None = None) -> list[VenueSettlement]:
        """Return settled markets; ``min_ts`` in Unix seconds."""
        query = _query(limit=PAGE, min_ts=min_ts)
        parts = ("portfolio", "settlements")
        found = await self.pages(_SETTLEMENTS, parts, lambda page: page.settlements, query=query)
        return _each(wire_account.settlement_of, found)

    async def transfers(self) -> list[VenueTransfer]:
        """Return all moves of money between shards, pending ones included, newest first."""
        query, parts = _query(limit=FUNDING_PAGE), ("portfolio", "intra_exchange_instance_transfers")
        found = await self.pages(_TRANSFERS, parts, lambda page: page.transfers, query=query)
        return _each(wire_account.transfer_of, found)

    async def deposits(self) -> list[VenueFunding]:
        """Return all deposits, whatever became of them, newest first."""
        query, parts = _query(limit=FUNDING_PAGE), ("portfolio", "deposits")
        found = await self.pages(_DEPOSITS, parts, lambda page: page.deposits, query=query)
        return _each(wire_account.deposit_of, found)

    async def withdrawals(self) -> list[VenueFunding]:
        """Return all withdrawals, with negative amounts, newest first."""
        query, parts = _query(limit=FUNDING_PAGE), ("portfolio", "withdrawals")
        found = await self.pages(_WITHDRAWALS, parts, lambda page: page.withdrawals, query=query)
        return _each(wire_account.withdrawal_of, found)

    async def balance(self) -> VenueBalance:
        """Return the cash; at most once a second, by a bucket of its own."""
        return _read(wire_account.balance_of, await self.one(_BALANCE, ("portfolio", "balance")))

    async def limits(self) -> AccountLimits:
        """Return tier and buckets."""
        return _read(wire_account.limits_of, await self.one(_LIMITS, ("account", "limits")))

    async def endpoint_costs(self) -> EndpointCosts:
        """Return what each endpoint costs."""
        return _read(wire_account.costs_of, await self.one(_COSTS, ("account", "endpoint_costs")))


def _query(**fields: str | int | None) -> tuple[tuple[str, str | int], ...]:
    return tuple((name, value) for name, value in fields.items() if value is not None)


def _read(convert: Callable[[W], V], wire: W) -> V:
    try:
        return convert(wire)
    except MalformedWire as e:
        raise VenueProtocolError(str(e)) from None


def _each(convert: Callable[[W], V], wires: Iterable[W]) -> list[V]:
    return [_read(convert, wire) for wire in wires]

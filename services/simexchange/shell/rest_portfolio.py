"""Reads of an account: orders, queue places, balance, positions, fills, settlements (kalshi-api 14 and 16).

All of them go through the read view and so may lag behind, as at the venue.
"""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict

from libs.common.domain.units import CENT_E6, format_qty
from services.simexchange.core.accounts import Account, Settled
from services.simexchange.core.budget import COST_GET_ORDER
from services.simexchange.core.entry import NOT_FOUND
from services.simexchange.core.events import Filled
from services.simexchange.core.orders import Order, OrderStatus
from services.simexchange.core.read_view import PositionRead
from services.simexchange.shell.bodies_out import (
    balance_body,
    dollars4,
    event_position_body,
    fill_body,
    order_body,
    position_body,
    settlement_body,
)
from services.simexchange.shell.door import Door, Route
from services.simexchange.shell.paging import NS_PER_S, Key, int_of, limit_of, page, within, words_of
from services.simexchange.shell.reply import Call, Reply, bad_parameter, invalid_parameters, ok, refused

COST_FREE = 0


class PortfolioRoutes:
    """Handlers of the account's reads."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._floor = door.venue.floor

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route("GET", "/portfolio/orders", self.orders),
            Route("GET", "/portfolio/orders/queue_positions", self.queue_positions),
            Route("GET", "/portfolio/orders/{}", self.order, cost=COST_GET_ORDER),
            Route("GET", "/portfolio/orders/{}/queue_position", self.queue_position),
            Route("GET", "/portfolio/balance", self.balance, cost=COST_FREE),
            Route("GET", "/portfolio/positions", self.positions),
            Route("GET", "/portfolio/fills", self.fills),
            Route("GET", "/portfolio/settlements", self.settlements),
            Route("GET", "/portfolio/summary/total_resting_order_value", self.resting_value),
        ]

    def orders(self, call: Call) -> Reply:
        """List orders, newest first."""
        account, status = self._door.account(call), call.get("status")
        if status and status not in set(OrderStatus):
            raise bad_parameter("GetOrders", "status", "oneof")
        limit = limit_of(call, "GetOrders")
        found = self._listed(account, status, call)
        shown, cursor = page(found, _order_key, call, limit)
        return ok({"orders": [order_body(order, account) for order in shown], "cursor": cursor})

    def order(self, call: Call) -> Reply:
        """Show one order."""
        account = self._door.account(call)
        order = self._floor.reads.order(account, call.path_args[0], call.now_ns)
        return refused(NOT_FOUND) if order is None else ok({"order": order_body(order, account)})

    def queue_positions(self, call: Call) -> Reply:
        """Tell how much trades before each resting order at its price."""
        account, markets, event = (
            self._door.account(call),
            words_of(call, "market_tickers"),
            call.get("event_ticker"),
        )
        if not markets and not event:
            raise invalid_parameters("market_tickers or event_ticker")
        found = [
            order
            for market, orders in account.resting.items()
            for order in orders.values()
            if market in markets or (event and order.event == event)
        ]
        rows = [
            {
                "order_id": order.order_id,
                "market_ticker": order.market,
                "queue_position_fp": format_qty(self._floor.markets[order.market].book.ahead_of(order)),
            }
            for order in found
        ]
        return ok({"queue_positions": rows})

    def queue_position(self, call: Call) -> Reply:
        """The same for one order."""
        order = self._door.account(call).orders.get(call.path_args[0])
        if order is None or not order.is_resting:
            return refused(NOT_FOUND)
        ahead_e2 = self._floor.markets[order.market].book.ahead_of(order)
        return ok({"queue_position_fp": format_qty(ahead_e2)})

    def balance(self, call: Call) -> Reply:
        """Tell the cash; resting orders are not subtracted."""
        self._door.bill_balance(call)
        account = self._door.account(call)
        cash_e6 = dict(self._floor.reads.cash_e6(account, call.now_ns))
        shard = int_of(call, "GetBalance", "exchange_index")
        if shard is not None:
            cash_e6 = {shard: cash_e6.get(shard, 0)}
        return ok(balance_body(cash_e6, account, self._floor.markets, call.now_ns))

    def positions(self, call: Call) -> Reply:
        """List market positions and their sums by event."""
        limit, wanted = limit_of(call, "GetPositions"), call.get("settlement_status", "unsettled")
        if wanted not in {"all", "unsettled", "settled"}:
            raise bad_parameter("GetPositions", "settlement_status", "oneof")
        reads = [
            read
            for read in self._floor.reads.positions(self._door.account(call), call.now_ns)
            if (wanted == "all" or read.position.is_settled == (wanted == "settled"))
            and self._is_asked(read, call)
        ]
        shown, cursor = page(reads, _position_key, call, limit)
        by_event: dict[str, list[PositionRead]] = defaultdict(list)
        for read in shown:
            by_event[self._floor.markets[read.market].spec.event].append(read)
        return ok(
            {
                "market_positions": [position_body(r, self._floor.markets[r.market].shard) for r in shown],
                "event_positions": [event_position_body(event, rows) for event, rows in by_event.items()],
                "cursor": cursor,
            }
        )

    def fills(self, call: Call) -> Reply:
        """List fills, newest first."""
        limit, markets, order_id = limit_of(call, "GetFills"), words_of(call, "ticker"), call.get("order_id")
        shard = int_of(call, "GetFills", "exchange_index")
        is_recent = within(call, "GetFills", "min_ts", "max_ts")
        fills = self._floor.reads.fills(self._door.account(call), call.now_ns)
        # They lie in order of time: whoever asks for the newest of a day need not wait for all of it.
        first_ns = (int_of(call, "GetFills", "min_ts") or 0) * NS_PER_S
        first = bisect.bisect_left(fills, first_ns, key=lambda fill: fill.venue_ns)
        found = [
            (number, fill)
            for number, fill in enumerate(itertools.islice(fills, first, None), first)
            if (not markets or fill.market in markets)
            and (not order_id or fill.order_id == order_id)
            and (shard is None or shard < 0 or fill.shard == shard)
            and is_recent(fill.venue_ns)
        ]
        shown, cursor = page(found, _numbered_key, call, limit)
        return ok({"fills": [fill_body(fill) for _, fill in shown], "cursor": cursor})

    def settlements(self, call: Call) -> Reply:
        """List settled markets, newest first."""
        limit, market, event = limit_of(call, "GetSettlements"), call.get("ticker"), call.get("event_ticker")
        is_recent = within(call, "GetSettlements", "min_ts", "max_ts")
        found = [
            settled
            for settled in self._door.account(call).settlements.values()
            if (not market or settled.market == market)
            and (not event or settled.event == event)
            and is_recent(settled.venue_ns)
        ]
        shown, cursor = page(found, _settled_key, call, limit)
        return ok({"settlements": [settlement_body(settled) for settled in shown], "cursor": cursor})

    def resting_value(self, call: Call) -> Reply:
        """Tell what the resting orders cost to open, by shard."""
        account = self._door.account(call)
        by_shard: dict[int, int] = defaultdict(int)
        for orders in account.resting.values():
            for order in orders.values():
                by_shard[order.shard] += order.leg_price_e4() * order.remaining_e2
        return ok(
            {
                "total_resting_order_value": sum(by_shard.values()) // CENT_E6,
                "resting_order_value_breakdown": [
                    {"exchange_index": shard, "balance": dollars4(value_e6)}
                    for shard, value_e6 in sorted(by_shard.items())
                ],
            }
        )

    def _listed(self, account: Account, status: str, call: Call) -> list[Order]:
        if status == OrderStatus.RESTING and not self._floor.reads.is_lagging:
            orders = [order for rows in account.resting.values() for order in rows.values()]
        else:
            orders = self._floor.reads.orders(account, call.now_ns)
        market, events = call.get("ticker"), words_of(call, "event_ticker")
        shard = int_of(call, "GetOrders", "exchange_index")
        subaccount = int_of(call, "GetOrders", "subaccount")
        is_recent = within(call, "GetOrders", "min_ts", "max_ts")
        return [
            order
            for order in orders
            if (not status or order.status == status)
            and (not market or order.market == market)
            and (not events or order.event in events)
            and (shard is None or shard < 0 or order.shard == shard)
            and not subaccount
            and is_recent(order.created_ns)
        ]

    def _is_asked(self, read: PositionRead, call: Call) -> bool:
        market = self._floor.markets[read.market]
        shard = int_of(call, "GetPositions", "exchange_index")
        filters = words_of(call, "count_filter")
        has_count = ("position" in filters and read.position.qty_e2 != 0) or (
            "total_traded" in filters and read.traded_e6 > 0
        )
        return (
            (not filters or has_count)
            and call.get("ticker", read.market) == read.market
            and call.get("event_ticker", market.spec.event) == market.spec.event
            and (shard is None or shard < 0 or market.shard == shard)
            and not int_of(call, "GetPositions", "subaccount")
        )


def _order_key(order: Order) -> Key:
    return order.created_ns, order.order_id


def _position_key(read: PositionRead) -> Key:
    return 0, read.market


def _numbered_key(row: tuple[int, Filled]) -> Key:
    return row[0], ""


def _settled_key(settled: Settled) -> Key:
    return settled.venue_ns, settled.market

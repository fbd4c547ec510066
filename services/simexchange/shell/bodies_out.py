"""Answers about orders, fills, positions, settlements and cash, in the venue's words.

Absent fields are left out, not null, as recorded; the deprecated ``side`` and
``action`` are still sent, because real clients still require them.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.domain.units import CENT_E6, CONTRACT_E2, DOLLAR_E4, format_cash, format_price, format_qty
from services.simexchange.core.accounts import Account, Settled
from services.simexchange.core.events import Filled
from services.simexchange.core.markets import Market
from services.simexchange.core.order_groups import OrderGroup
from services.simexchange.core.orders import Order
from services.simexchange.core.read_view import PositionRead
from services.simexchange.core.requests import Placed, Reduced
from services.simexchange.shell.times import NS_PER_S, rfc3339

NS_PER_MS = 1_000_000
_OUTCOME = {Side.BID: "yes", Side.ASK: "no"}
_PRECISION_E6 = 100


def dollars4(cash_e6: int) -> str:
    """Return cash with four decimals; balances lie on them, and anything finer is cut off."""
    return format_cash(cash_e6 // _PRECISION_E6 * _PRECISION_E6, 4)


def direction(side: Side) -> dict[str, str]:
    """Return the fields that say which way an order or a fill goes, deprecated ones included."""
    outcome = _OUTCOME[side]
    return {
        "action": "buy" if side is Side.BID else "sell",
        "side": "yes",
        "outcome_side": outcome,
        "book_side": side.value,
    }


def order_body(order: Order, account: Account) -> dict[str, object]:
    """Return an ``Order``."""
    body: dict[str, object] = {
        "order_id": order.order_id,
        "user_id": account.user_id,
        "client_order_id": order.client_order_id,
        "ticker": order.market,
        **direction(order.side),
        "type": "limit",
        "status": order.status.value,
        "yes_price_dollars": format_price(order.price_e4),
        "no_price_dollars": format_price(DOLLAR_E4 - order.price_e4),
        "initial_count_fp": format_qty(order.initial_e2),
        "fill_count_fp": format_qty(order.filled_e2),
        "remaining_count_fp": format_qty(order.remaining_e2),
        "taker_fill_cost_dollars": format_cash(order.taker_cost_e6),
        "maker_fill_cost_dollars": format_cash(order.maker_cost_e6),
        "taker_fees_dollars": format_cash(order.taker_fees_e6),
        "maker_fees_dollars": format_cash(order.maker_fees_e6),
        "created_time": rfc3339(order.created_ns),
        "last_update_time": rfc3339(order.updated_ns),
        "self_trade_prevention_type": order.stp.value,
        "subaccount_number": 0,
        "exchange_index": order.shard,
    }
    if order.expires_ns is not None:
        body["expiration_time"] = rfc3339(order.expires_ns)
    if order.order_group_id:
        body["order_group_id"] = order.order_group_id
    if order.cancel_on_pause:
        body["cancel_order_on_pause"] = True
    return body


def fill_body(fill: Filled) -> dict[str, object]:
    """Return a ``Fill``."""
    return {
        "fill_id": fill.trade_id,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "ticker": fill.market,
        "market_ticker": fill.market,
        "exchange_index": fill.shard,
        **direction(fill.side),
        "count_fp": format_qty(fill.qty_e2),
        "yes_price_dollars": format_price(fill.price_e4),
        "no_price_dollars": format_price(DOLLAR_E4 - fill.price_e4),
        "is_taker": fill.is_taker,
        "fee_cost": format_cash(fill.fee_e6),
        "subaccount_number": 0,
        "created_time": rfc3339(fill.venue_ns),
        "ts": fill.venue_ns // NS_PER_S,
    }


def position_body(read: PositionRead, shard: int) -> dict[str, object]:
    """Return a ``MarketPosition``."""
    position = read.position
    return {
        "ticker": read.market,
        "exchange_index": shard,
        "position_fp": format_qty(position.qty_e2),
        "total_traded_dollars": format_cash(read.traded_e6),
        "market_exposure_dollars": format_cash(position.cost_e6),
        "realized_pnl_dollars": format_cash(position.realised_e6),
        "fees_paid_dollars": format_cash(position.fees_e6),
        "last_updated_ts": rfc3339(read.updated_ns),
    }


def event_position_body(event: str, reads: list[PositionRead]) -> dict[str, object]:
    """Return an ``EventPosition`` over the positions of an event's markets."""
    return {
        "event_ticker": event,
        "total_cost_dollars": format_cash(sum(read.traded_e6 for read in reads)),
        "total_cost_shares_fp": format_qty(sum(abs(read.position.qty_e2) for read in reads)),
        "event_exposure_dollars": format_cash(sum(read.position.cost_e6 for read in reads)),
        "realized_pnl_dollars": format_cash(sum(read.position.realised_e6 for read in reads)),
        "fees_paid_dollars": format_cash(sum(read.position.fees_e6 for read in reads)),
    }


def settlement_body(settled: Settled) -> dict[str, object]:
    """Return a ``Settlement``; revenue and value are the venue's last integer cents."""
    return {
        "ticker": settled.market,
        "exchange_index": settled.shard,
        "event_ticker": settled.event,
        "market_result": settled.result,
        "yes_count_fp": format_qty(settled.yes_e2),
        "yes_total_cost_dollars": format_cash(settled.yes_cost_e6),
        "no_count_fp": format_qty(settled.no_e2),
        "no_total_cost_dollars": format_cash(settled.no_cost_e6),
        "revenue": settled.revenue_e6 // CENT_E6,
        "value": settled.value_e4 // 100,
        "fee_cost": format_cash(settled.fee_e6),
        "settled_time": rfc3339(settled.venue_ns),
    }


def balance_body(
    cash_e6: dict[int, int], account: Account, markets: dict[str, Market], now_ns: int
) -> dict[str, object]:
    """Return the balance; resting orders are not subtracted."""
    total_e6 = sum(cash_e6.values())
    value_e6 = sum(
        position.settlement_value_e6(markets[market].last_price_e4)
        for market, position in account.positions.items()
        if position.qty_e2
    )
    return {
        "balance": total_e6 // CENT_E6,
        "balance_dollars": dollars4(total_e6),
        "portfolio_value": value_e6 // CENT_E6,
        "updated_ts": now_ns // NS_PER_S,
        "balance_breakdown": [
            {"exchange_index": shard, "balance": dollars4(amount_e6)}
            for shard, amount_e6 in sorted(cash_e6.items())
        ],
    }


def placed_body(placed: Placed) -> dict[str, object]:
    """Return what a create answers."""
    body: dict[str, object] = {"order_id": placed.order_id}
    if placed.client_order_id:
        body["client_order_id"] = placed.client_order_id
    body["fill_count"] = format_qty(placed.filled_e2)
    body["remaining_count"] = format_qty(placed.remaining_e2)
    _add_averages(body, placed)
    body["ts_ms"] = placed.venue_ns // NS_PER_MS
    return body


def amended_body(placed: Placed) -> dict[str, object]:
    """Return what an amend answers: sizes only where they changed or fills happened."""
    body: dict[str, object] = {"order_id": placed.order_id}
    if placed.client_order_id:
        body["client_order_id"] = placed.client_order_id
    if placed.is_size_changed:
        body["remaining_count"] = format_qty(placed.remaining_e2)
        body["fill_count"] = format_qty(placed.filled_e2)
    _add_averages(body, placed)
    body["ts_ms"] = placed.venue_ns // NS_PER_MS
    return body


def decreased_body(reduced: Reduced) -> dict[str, object]:
    """Return what a decrease answers."""
    body: dict[str, object] = {"order_id": reduced.order_id}
    if reduced.client_order_id:
        body["client_order_id"] = reduced.client_order_id
    body["remaining_count"] = format_qty(reduced.remaining_e2)
    body["ts_ms"] = reduced.venue_ns // NS_PER_MS
    return body


def cancelled_body(reduced: Reduced) -> dict[str, object]:
    """Return what a cancel answers; the recorded one had no client order id."""
    return {
        "order_id": reduced.order_id,
        "reduced_by": format_qty(reduced.reduced_e2),
        "ts_ms": reduced.venue_ns // NS_PER_MS,
    }


def group_body(group: OrderGroup) -> dict[str, object]:
    """Return an ``OrderGroup``."""
    return {
        "id": group.order_group_id,
        "contracts_limit_fp": format_qty(group.limit_e2),
        "is_auto_cancel_enabled": True,
        "exchange_index": group.shard,
    }


def _add_averages(body: dict[str, object], placed: Placed) -> None:
    """Add price and fee per contract, to the nearest ten-thousandth, if anything traded."""
    filled_e2 = placed.filled_e2
    if not filled_e2:
        return
    price_e4 = (placed.fill_notional_e6 + filled_e2 // 2) // filled_e2
    fee_e4 = (placed.fill_fees_e6 * CONTRACT_E2 // filled_e2 + _PRECISION_E6 // 2) // _PRECISION_E6
    body["average_fill_price"] = format_price(price_e4)
    body["average_fee_paid"] = format_cash(fee_e4 * _PRECISION_E6, 4)

"""Open orders as dashboards and the command line show them (requirements A-083, A-084).

A map by the venue's order id, with the field names that people's tools know: market,
side, dollars, contracts. Made from `OrderV1`, which is what machines of ours read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from libs.common.domain.units import format_price, format_qty
from libs.common.messages.execution import OrderV1, Purpose

_NS_PER_US = 1_000


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order that may rest."""

    market_id: str
    side: str
    price: str
    """Dollars of the YES side."""
    size: str
    """Contracts that the order is for, what is filled included."""
    filled: str
    remaining: str
    decision_id: str
    client_order_id: str
    status: str
    """The executor's own word: ``resting``, ``partly_filled``, ``unknown`` …"""
    created_at: str
    """RFC 3339, or empty where nobody wrote it down."""
    tif: str
    purpose: str
    order_group_id: str


class OpenOrders(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that may rest at one moment."""

    last_updated: str
    orders: dict[str, OpenOrder]
    """By the venue's order id; by ours while the venue has not named it."""


def open_orders(orders: Iterable[OrderV1], now_ns: int) -> OpenOrders:
    """Return the orders in the shape of A-084, in the order given."""
    return OpenOrders(
        last_updated=rfc3339(now_ns),
        orders={order.order_id or order.client_order_id: _shown(order) for order in orders},
    )


def rfc3339(unix_ns: int) -> str:
    """Return the time in UTC to the microsecond; empty for 0, which is nobody's time."""
    if not unix_ns:
        return ""
    moment = datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ns % 1_000_000_000 // _NS_PER_US:06d}Z"


def _shown(order: OrderV1) -> OpenOrder:
    return OpenOrder(
        market_id=order.market,
        side=order.side.value,
        price=format_price(order.price_e4),
        size=format_qty(order.filled_e2 + order.remaining_e2),
        filled=format_qty(order.filled_e2),
        remaining=format_qty(order.remaining_e2),
        decision_id=order.decision_id,
        client_order_id=order.client_order_id,
        status=order.state.value,
        created_at=rfc3339(order.created_ns),
        tif="immediate_or_cancel" if order.purpose is Purpose.EXIT else "good_till_canceled",
        purpose=order.purpose.value,
        order_group_id=order.order_group_id,
    )

"""Open orders from the executor's own mouth, in the shape of A-084, filtered."""

from __future__ import annotations

import time
from typing import Final

import msgspec
from rich.table import Table

from libs.common.bus.api import Bus
from libs.common.messages.execution import OrderV1
from libs.common.messages.open_orders import OpenOrders, open_orders
from libs.common.subjects import Subjects


class _Answer(msgspec.Struct, frozen=True):
    orders: tuple[OrderV1, ...]


_ANSWER: Final = msgspec.json.Decoder(_Answer)
_COLUMNS: Final = ("market", "side", "price", "size", "filled", "status", "created", "order", "ours")
_LONG: Final = ("created", "order", "ours")
"""Broken into lines where a terminal is narrow; an id that is cut off cannot be asked for."""


async def ask(bus: Bus, subjects: Subjects, *, market: str = "", state: str = "") -> OpenOrders:
    """Return the executor's open orders; empty filters let everything pass.

    Raises:
        BusError: The executor does not answer.
    """
    answer = await bus.request(subjects.of("svc", "executor", "orders"), b"{}", timeout_s=3.0)
    orders = _ANSWER.decode(answer.data).orders
    return open_orders(
        (one for one in orders if market in ("", one.market) and state in ("", one.state.value)),
        time.time_ns(),
    )


def table(shown: OpenOrders) -> Table:
    """Return the orders for a terminal."""
    found = Table(header_style="bold", title=f"open orders, {shown.last_updated}", title_justify="left")
    for name in _COLUMNS:
        found.add_column(name, no_wrap=name not in _LONG, overflow="fold")
    for order_id, one in shown.orders.items():
        found.add_row(
            one.market_id,
            one.side,
            one.price,
            one.size,
            one.filled,
            one.status,
            one.created_at,
            order_id,
            one.client_order_id,
        )
    return found

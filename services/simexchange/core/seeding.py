"""A venue that already has much on it, at once: markets without flow, and thousands of resting orders.

For measurements only. Seeded orders are put into the books as if they had rested for
long: nobody is told of their coming (their end is told like any order's), they carry no
client order id, and they may sit in anybody's order group.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from services.simexchange.core.clearing import Clearing
from services.simexchange.core.fifo_book import FifoBook
from services.simexchange.core.floor import Floor
from services.simexchange.core.lifecycle import Lifecycle
from services.simexchange.core.markets import EventSpec, MarketSpec, SeriesSpec
from services.simexchange.core.orders import Order, SelfTradePrevention, TimeInForce

_LIFE_NS: Final = 7 * 86_400 * 1_000_000_000
_PRICES_E4: Final = range(100, 4_000, 100)
_GRID: Final = grid_of_steps((0, 10_000, 100))


def list_markets(  # noqa: PLR0917 - the floor's own parts, then the facts
    floor: Floor, life: Lifecycle, series: str, shard: int, count: int, now_ns: int
) -> list[str]:
    """List so many quiet markets with a cent grid on a shard and return their names."""
    floor.series[series] = SeriesSpec(series, f"Quiet markets of {series}", shard=shard)
    event = f"{series}-Q"
    life.add_event(EventSpec(event, series, f"Quiet event of {series}", shard=shard), now_ns)
    floor.use_shards([shard])
    names = [f"{event}-T{number}" for number in range(1, count + 1)]
    for name in names:
        spec = MarketSpec(
            market=name,
            event=event,
            title=f"Nothing happens in {name}?",
            grid=_GRID,
            open_ns=now_ns,
            close_ns=now_ns + _LIFE_NS,
        )
        life.add_market(spec, FifoBook(), now_ns)
    return names


def seed(  # noqa: PLR0917 - the floor's own parts, then the facts
    floor: Floor, clearing: Clearing, account: str, groups: Mapping[str, str], count: int, now_ns: int
) -> int:
    """Put so many bids of one contract into the books, spread over markets and cheap prices.

    Args:
        floor: The venue's.
        clearing: The venue's.
        account: Whose they are.
        groups: Order group by market; only these markets are used.
        count: In all.
        now_ns: Unix time.

    Returns:
        How many rest now.
    """
    owner = floor.accounts[account]
    spread = itertools.cycle([(market, price) for price in _PRICES_E4 for market in groups])
    for market, price_e4 in itertools.islice(spread, count):
        found = floor.markets[market]
        order = Order(
            order_id=floor.ids.next(),
            account=account,
            client_order_id="",
            market=market,
            event=found.spec.event,
            shard=found.shard,
            side=Side.BID,
            price_e4=price_e4,
            initial_e2=100,
            remaining_e2=100,
            tif=TimeInForce.GOOD_TILL_CANCELED,
            stp=SelfTradePrevention.TAKER_AT_CROSS,
            created_ns=now_ns,
            updated_ns=now_ns,
            post_only=True,
            reduce_only=False,
            cancel_on_pause=True,
            expires_ns=None,
            order_group_id=groups[market],
        )
        owner.orders[order.order_id] = order
        floor.orders[order.order_id] = order
        clearing.rest(found, order, now_ns)
    if floor.reads.is_lagging:
        floor.reads.set_lag(floor.reads.lag_ns, floor.accounts.values())
    return sum(len(orders) for orders in owner.resting.values())


def forget_ended(floor: Floor, account: str) -> int:
    """Drop what was seeded and has ended, as a real venue moves it to its archive; return how many."""
    owner = floor.accounts[account]
    ended = [
        order.order_id
        for order in owner.orders.values()
        if not order.is_resting and not order.client_order_id and not order.filled_e2
    ]
    for order_id in ended:
        del owner.orders[order_id]
        del floor.orders[order_id]
        floor.reads.forget(order_id)
    return len(ended)

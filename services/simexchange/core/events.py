"""What the venue tells the world; the WebSocket face turns these into frames.

Frozen facts in the past tense, in the order they happened. ``clock`` is the
market's engine action number: all changes of one action carry the same one.
Events that belong to one account name it and must reach nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.common.domain.side import Side
from services.simexchange.core.orders import Order, Reason


@dataclass(frozen=True, slots=True)
class LevelChanged:
    """A displayed level changed by a signed quantity; YES price on both sides.

    ``account`` and ``client_order_id`` name whose order caused it, or are empty:
    only that account's connections see the client order id (kalshi-api 23.6).
    """

    market: str
    side: Side
    price_e4: int
    change_e2: int
    clock: int
    venue_ms: int
    account: str = ""
    client_order_id: str = ""


@dataclass(frozen=True, slots=True)
class BookReset:
    """The book was replaced as a whole: every subscriber needs a new snapshot."""

    market: str
    clock: int
    venue_ms: int


@dataclass(frozen=True, slots=True)
class Traded:
    """A public trade."""

    market: str
    trade_id: str
    price_e4: int
    qty_e2: int
    taker_side: Side
    venue_ns: int


@dataclass(frozen=True, slots=True)
class Filled:
    """One account's side of a trade."""

    account: str
    trade_id: str
    order_id: str
    client_order_id: str
    market: str
    shard: int
    side: Side
    price_e4: int
    qty_e2: int
    fee_e6: int
    is_taker: bool
    position_after_e2: int
    venue_ns: int


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order was created, filled, changed or ended; ``order`` is a copy as it stood then."""

    account: str
    order: Order
    reason: Reason


@dataclass(frozen=True, slots=True)
class PositionChanged:
    """A market position of an account after a fill or a settlement."""

    account: str
    market: str
    qty_e2: int
    cost_e6: int
    realised_e6: int
    fees_e6: int
    volume_e2: int


@dataclass(frozen=True, slots=True)
class GroupChanged:
    """``created``, ``triggered``, ``reset``, ``deleted``, ``limit_updated``; first and last have a limit."""

    account: str
    order_group_id: str
    event_type: str
    limit_e2: int | None
    venue_ms: int


@dataclass(frozen=True, slots=True)
class LifecycleChanged:
    """A ``market_lifecycle_v2`` message; ``fields`` are its wire keys beside type and ticker."""

    event_type: str
    market: str
    fields: Mapping[str, object]
    venue_ms: int


@dataclass(frozen=True, slots=True)
class EventLifecycle:
    """An ``event_lifecycle`` message; ``fields`` are its wire keys."""

    event: str
    fields: Mapping[str, object]
    venue_ms: int


@dataclass(frozen=True, slots=True)
class FeeChanged:
    """An ``event_fee_update`` message; both None clear the override."""

    event: str
    fee_type: str | None
    multiplier_e4: int | None
    venue_ms: int


@dataclass(frozen=True, slots=True)
class MarketTouched:
    """Something a ticker shows (top, last trade, volume, open interest) changed by this action."""

    market: str
    venue_ms: int


Event = (
    LevelChanged
    | BookReset
    | Traded
    | Filled
    | OrderChanged
    | PositionChanged
    | GroupChanged
    | LifecycleChanged
    | EventLifecycle
    | FeeChanged
    | MarketTouched
)

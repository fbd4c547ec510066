"""Accounts: cash by shard, positions, orders, and every fill and settlement.

An internal account belongs to a liquidity source (or is the ``tape`` that
stands behind anonymous recorded depth): endless credit, no buckets, no fees.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from libs.common.domain.ledger import Position
from services.simexchange.core.events import Filled
from services.simexchange.core.orders import Order


@dataclass(frozen=True, slots=True)
class Settled:
    """One settled market of one account; ``revenue_e6`` is what was paid, in whole cents."""

    market: str
    event: str
    shard: int
    result: str
    yes_e2: int
    no_e2: int
    yes_cost_e6: int
    no_cost_e6: int
    revenue_e6: int
    value_e4: int
    fee_e6: int
    venue_ns: int


@dataclass(slots=True, eq=False)
class Account:
    """One member; mutated by the venue only."""

    name: str
    user_id: str
    tier: str
    is_internal: bool = False
    cash_e6: dict[int, int] = field(default_factory=dict)
    """By shard; a shard that is absent was never funded."""
    positions: dict[str, Position] = field(default_factory=lambda: defaultdict(Position))
    volume_e2: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    traded_e6: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    position_updated_ns: dict[str, int] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    resting: dict[str, dict[str, Order]] = field(default_factory=lambda: defaultdict(dict))
    """By market, then by order id in order of acceptance."""
    client_order_ids: set[str] = field(default_factory=set)
    """Every one ever used: an id is never free again."""
    reserved_e6: dict[int, int] = field(default_factory=dict)
    reservation_by_market: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Shard and reserved cash."""
    reservations_dirty: set[str] = field(default_factory=set)
    cancelled_all_ns: int | None = None
    fills: list[Filled] = field(default_factory=list)
    settlements: dict[str, Settled] = field(default_factory=dict)
    """The newest record of each market."""
    refusals: Counter[str] = field(default_factory=Counter)
    """Creates that were refused, by the code of the answer."""

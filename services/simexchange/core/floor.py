"""The trading floor: what all parts of the venue share.

Listing, accounts, orders, pauses and the outbox of events. No behaviour beyond
looking things up; the parts beside it (entry, clearing, lifecycle) change it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.simexchange.core.accounts import Account
from services.simexchange.core.agenda import Agenda
from services.simexchange.core.announcements import Announcements
from services.simexchange.core.collateral import Collateral
from services.simexchange.core.events import Event
from services.simexchange.core.faults import FaultBoard
from services.simexchange.core.ids import IdMint
from services.simexchange.core.markets import EventSpec, Market, SeriesSpec
from services.simexchange.core.order_groups import OrderGroup
from services.simexchange.core.orders import Order
from services.simexchange.core.read_view import ReadView

TAPE = "tape"
"""The internal account behind anonymous recorded depth."""


@dataclass(slots=True)
class Floor:
    """Shared state of one venue."""

    ids: IdMint
    faults: FaultBoard
    reads: ReadView
    collateral: Collateral
    agenda: Agenda = field(default_factory=Agenda)
    announced: Announcements = field(default_factory=Announcements)
    series: dict[str, SeriesSpec] = field(default_factory=dict)
    events: dict[str, EventSpec] = field(default_factory=dict)
    markets: dict[str, Market] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    groups: dict[str, OrderGroup] = field(default_factory=dict)
    outbox: list[Event] = field(default_factory=list)
    shards: list[int] = field(default_factory=lambda: [0])
    """Every exchange index in use, ascending."""
    trading_paused: set[int] = field(default_factory=set)
    """Shards in a trading pause; cancels work."""
    exchange_paused: set[int] = field(default_factory=set)
    """Shards in an exchange pause; nothing works."""
    deposits_e6: int = 0
    fees_e6: int = 0
    in_transit_e6: int = 0
    """Left one shard and has not arrived at the other."""
    now_ns: int = 0

    def emit(self, event: Event) -> None:
        """Put an event out, and remember it where reads lag behind."""
        self.outbox.append(event)
        if self.reads.is_lagging:
            self.reads.record(event, self.now_ns, self.accounts)

    def use_shards(self, shards: Iterable[int]) -> None:
        """Note exchange indices that events or cash live on."""
        self.shards = sorted({*self.shards, *shards})

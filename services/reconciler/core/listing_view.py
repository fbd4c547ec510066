"""The third witness: the venue's REST listings, read by this service.

A listing is one reading of everything; fills and settlements are read on from
the last one with an overlap, deduplicated, and added up for good (`cash.Sums`).
What is older than the settling time has gone into the sums that every reading
must show; the young ones wait, in venue order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from libs.common.kalshi.model import (
    VenueBalance,
    VenueFill,
    VenueFunding,
    VenueOrder,
    VenueOrderStatus,
    VenuePosition,
    VenueSettlement,
    VenueTransfer,
)
from services.reconciler.core.cash import Event, Sums, event_ms, in_venue_order
from services.reconciler.core.drop_copy_view import fill_terms, resting
from services.reconciler.core.funding import FundingBook
from services.reconciler.core.witness import FillKey, Witness, order_key

_KNOWN_MIN: Final = 10_000
_KNOWN_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class Listing:
    """One reading of the venue.

    Attributes:
        started_ms: Wall time before the first request.
        started_ns: Monotonic time before the first request.
        orders: Resting orders of the account, foreign ones included.
        fills: Fills since the last reading, with overlap.
        positions: Positions in markets that are not settled.
        settlements: All settlements, or those since the last reading with overlap.
        balance: Cash; None where it could not be read this time, which says nothing about money.
        transfers: All moves between shards, pending ones included.
        fundings: All deposits and withdrawals, whatever became of them.
        untold: Lists that our key may not read; what they would explain shows as a residual.
    """

    started_ms: int
    started_ns: int
    orders: tuple[VenueOrder, ...]
    fills: tuple[VenueFill, ...]
    positions: tuple[VenuePosition, ...]
    settlements: tuple[VenueSettlement, ...]
    balance: VenueBalance | None
    transfers: tuple[VenueTransfer, ...] = ()
    fundings: tuple[VenueFunding, ...] = ()
    untold: tuple[str, ...] = ()


@dataclass(slots=True)
class ListingView:
    """Folds listings into a witness and into the sums that prove positions and cash."""

    genesis_ms: int | None = None
    old: Sums = field(default_factory=Sums)
    """Events older than the settling time, before genesis too."""
    opening: Sums = field(default_factory=Sums)
    """Events before genesis: their cash is in the genesis balance."""
    young: list[Event] = field(default_factory=list)
    fundings: FundingBook = field(default_factory=FundingBook)
    """Money that moved without a fill, corrected payouts among it."""
    fills_listed_until_ms: int = 0
    """Venue time up to which fills were read; the next reading begins before it."""
    settled_ms: dict[str, int] = field(default_factory=dict)
    settled_e2: dict[str, int] = field(default_factory=dict)
    """Signed quantity that the venue says it settled."""
    counted_until_ms: int = 0
    """Fills from before this venue time were all counted; one that is listed again is an old one."""
    _known: dict[FillKey, int] = field(default_factory=dict)
    """Fills counted lately, with their venue time."""
    _known_max: int = _KNOWN_MIN
    _fills: dict[FillKey, VenueFill] = field(default_factory=dict)
    _paid: dict[str, VenueSettlement] = field(default_factory=dict)
    _history: list[Event] = field(default_factory=list)
    """Events read before genesis was known."""
    _orders: dict[str, VenueOrder] = field(default_factory=dict)
    _positions: dict[str, int] = field(default_factory=dict)
    _listed_positions: dict[str, VenuePosition] = field(default_factory=dict)

    def on_genesis(self, genesis_ms: int) -> None:
        """Learn from which venue time on the balance is ours to explain."""
        if self.genesis_ms is not None:
            return
        self.genesis_ms = genesis_ms
        for event in self._history:
            if event_ms(event) < genesis_ms:
                self.opening.apply(event)
        self._history.clear()

    def take(self, listing: Listing, settle_ms: int) -> None:
        """Take one reading."""
        self._orders = {
            order_key(order.client_order_id, order.order_id): order
            for order in listing.orders
            if order.status is VenueOrderStatus.RESTING
        }
        self._positions = {position.market: position.qty_e2 for position in listing.positions}
        self._listed_positions = {position.market: position for position in listing.positions}
        for fill in listing.fills:
            key = FillKey(fill.trade_id, fill.order_id)
            if key not in self._known and fill.venue_ms >= self.counted_until_ms:
                self._known[key] = fill.venue_ms
                self._fills[key] = fill
                self._count(fill)
                self.fills_listed_until_ms = max(self.fills_listed_until_ms, fill.venue_ms)
        self._forget_known()
        # Newest first: of two records of one market the newer one counts.
        for settlement in sorted(listing.settlements, key=lambda one: one.settled_ms, reverse=True):
            self._settle(settlement, listing.started_ms)
        self.fundings.take(listing.transfers, listing.fundings, listing.started_ms)
        cutoff_ms = listing.started_ms - settle_ms
        for event in self.young:
            if event_ms(event) < cutoff_ms:
                self.old.apply(event)
        self.young = in_venue_order(event for event in self.young if event_ms(event) >= cutoff_ms)

    def _forget_known(self) -> None:
        # Readings overlap by a minute; ten are kept, so that nothing can be counted twice.
        if len(self._known) < self._known_max:
            return
        self.counted_until_ms = max(0, self.fills_listed_until_ms - _KNOWN_MS)
        self._known = {key: ms for key, ms in self._known.items() if ms >= self.counted_until_ms}
        self._known_max = max(_KNOWN_MIN, 2 * len(self._known))

    @property
    def orders(self) -> Mapping[str, VenueOrder]:
        """Return the resting orders of the newest reading by key."""
        return self._orders

    @property
    def fills(self) -> Mapping[FillKey, VenueFill]:
        """Return fills that are still to be compared."""
        return self._fills

    @property
    def positions(self) -> Mapping[str, int]:
        """Return the positions of the newest reading."""
        return self._positions

    def position(self, market: str) -> VenuePosition | None:
        """Return a position of the newest reading as the venue told it."""
        return self._listed_positions.get(market)

    def agreed(self, key: FillKey) -> None:
        """Forget the terms of a fill that was compared and found right."""
        self._fills.pop(key, None)

    def filled_e2(self, market: str) -> int:
        """Return the position that all fills and settlements read so far make."""
        sums = self.old.of_market(market)
        for event in self.young:
            if event.market == market:
                sums.apply(event)
        return sums.position_e2(market)

    def markets(self) -> set[str]:
        """Return every market with a fill, a settlement or a listed position."""
        return {*self.old.markets(), *(event.market for event in self.young), *self._positions}

    def witness(self, fills_until_ms: int) -> Witness:
        """Return the listing's word about orders and fills; positions are judged by `settle.py`."""
        return Witness(
            orders={key: resting(order) for key, order in self._orders.items()},
            fills={key: fill_terms(fill) for key, fill in self._fills.items()},
            fills_from_ms=0,
            fills_until_ms=fills_until_ms,
        )

    def _settle(self, settlement: VenueSettlement, started_ms: int) -> None:
        """Count a market's settlement, or what a newer record of it pays more or less."""
        before = self._paid.get(settlement.market)
        if before is not None and (settlement == before or settlement.settled_ms < before.settled_ms):
            return
        self._paid[settlement.market] = settlement
        self.settled_ms[settlement.market] = settlement.settled_ms
        self.settled_e2[settlement.market] = settlement.yes_e2 - settlement.no_e2
        if before is None:
            self._count(settlement)
            return
        change_e6 = settlement.revenue_e6 - before.revenue_e6
        self.fundings.correct(settlement.market, settlement.shard, change_e6, started_ms)

    def _count(self, event: Event) -> None:
        self.young.append(event)
        if self.genesis_ms is None:
            self._history.append(event)
        elif event_ms(event) < self.genesis_ms:
            self.opening.apply(event)

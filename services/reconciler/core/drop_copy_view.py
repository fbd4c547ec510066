"""The second witness: what the venue's private feed told this service itself.

The feed has no sequence numbers, so it can lose messages unseen, and it tells
changes only: nothing about what was there before it connected. It therefore
speaks of an order once it heard of it, misses one only if the venue changed it
well after the connection stood, and forgets everything with the connection.
"""

from __future__ import annotations

from collections.abc import KeysView, Mapping
from dataclasses import dataclass, field

from libs.common.kalshi.model import (
    FeedClosed,
    FeedEvent,
    FeedHeard,
    OwnFill,
    OwnOrder,
    OwnPosition,
    VenueFill,
    VenueOrder,
    VenueOrderStatus,
)
from services.reconciler.core.agreed import Agreed
from services.reconciler.core.witness import SILENT, FillKey, FillTerms, Resting, Witness, order_key

_ENDED_MAX = 20_000


@dataclass(slots=True)
class DropCopyView:
    """Folds the private feed into a witness; times are the receiver's monotonic clock unless named."""

    done: Agreed = field(default_factory=Agreed)
    connected_ms: int | None = None
    """Exchange time since which the feed has been whole, None while it is not."""
    connected_ns: int = 0
    """The same on our monotonic clock."""
    heard_ns: int = 0
    """When the venue last spoke in order on this feed."""
    heard_ms: int = 0
    """What its clock said then."""
    _orders: dict[str, tuple[VenueOrder, int, int]] = field(default_factory=dict)
    """Key to (order, arrival of its first message, arrival of its newest)."""
    _ended: dict[str, int] = field(default_factory=dict)
    _untold: dict[str, None] = field(default_factory=dict)
    """Orders whose status the venue calls unknown: the feed has no opinion of them."""
    _fills: dict[FillKey, VenueFill] = field(default_factory=dict)
    _positions: dict[str, tuple[int, int]] = field(default_factory=dict)

    def on_event(self, event: FeedEvent, now_ns: int) -> FillKey | None:
        """Take one event of the feed and return the key of a fill that is new."""
        match event:
            case FeedClosed():
                self._forget()
            case FeedHeard(as_of_ms):
                # The first word of a connection answers the subscription: from here on the feed is whole.
                self.heard_ns, self.heard_ms = now_ns, as_of_ms
                if self.connected_ms is None:
                    self.connected_ms, self.connected_ns = as_of_ms, now_ns
            case OwnOrder(order):
                self._on_order(order, now_ns)
            case OwnFill(fill):
                key = FillKey(fill.trade_id, fill.order_id)
                if fill.position_after_e2 is not None:
                    self._positions[fill.market] = (fill.position_after_e2, now_ns)
                if key not in self._fills and not self.done.has(key, fill.venue_ms):
                    self._fills[key] = fill
                    return key
            case OwnPosition(position):
                self._positions[position.market] = (position.qty_e2, now_ns)
            case _:
                pass
        return None

    def agreed(self, key: FillKey) -> None:
        """Forget a fill that was compared and found right."""
        self._fills.pop(key, None)

    @property
    def fills(self) -> Mapping[FillKey, VenueFill]:
        """Return fills that are still to be compared."""
        return self._fills

    def order(self, key: str) -> VenueOrder | None:
        """Return a resting order that the feed told of."""
        found = self._orders.get(key)
        return None if found is None else found[0]

    def resting_keys(self) -> KeysView[str]:
        """Return the keys of the resting orders that the feed told of."""
        return self._orders.keys()

    def order_ids(self) -> set[str]:
        """Return the venue's ids of the resting orders that the feed told of."""
        return {order.order_id for order, _, _ in self._orders.values()}

    def wall_ms(self, now_ns: int) -> int:
        """Return the exchange time now, by its last word and our clock since."""
        return self.heard_ms + (now_ns - self.heard_ns) // 1_000_000

    def is_heard(self, now_ns: int, silence_ns: int) -> bool:
        """Return whether the feed is whole and has spoken lately."""
        return self.connected_ms is not None and now_ns - self.heard_ns <= silence_ns

    def positions(self) -> Mapping[str, int]:
        """Return the last position heard of each market."""
        return {market: qty_e2 for market, (qty_e2, _) in self._positions.items()}

    def witness(
        self,
        cutoff_ns: int,
        settle_ms: int,
        fills_until_ms: int,
        listed: Mapping[str, VenueOrder],
        leave_out: frozenset[str] = frozenset(),
    ) -> Witness:
        """Return the feed's word now.

        Args:
            cutoff_ns: What changed after this monotonic time is no evidence yet.
            settle_ms: The feed must have stood this long before a change for its silence to mean anything.
            fills_until_ms: Nothing is said about fills from this venue time on.
            listed: The listing's orders; those last changed before the feed stood were never told to it.
            leave_out: Orders that are not asked about.
        """
        if self.connected_ms is None:
            return SILENT
        whole_from_ms = self.connected_ms + settle_ms
        orders: dict[str, Resting] = {}
        unsure: set[str] = set()
        moving: set[str] = set()
        for key, (order, first_ns, newest_ns) in self._orders.items():
            if key in leave_out:
                continue
            orders[key] = resting(order)
            if first_ns > cutoff_ns:
                unsure.add(key)
            elif newest_ns > cutoff_ns:
                moving.add(key)
        unsure.update(self._untold)
        unsure.update(key for key, ended_ns in self._ended.items() if ended_ns > cutoff_ns)
        unsure.update(
            key
            for key, order in listed.items()
            if key not in orders and key not in self._ended and order.updated_ms < whole_from_ms
        )
        fills = {key: fill_terms(fill) for key, fill in self._fills.items()}
        return Witness(
            orders=orders,
            unsure=frozenset(unsure),
            moving=frozenset(moving),
            fills=fills,
            fills_from_ms=whole_from_ms,
            fills_until_ms=fills_until_ms,
            positions=self.positions(),
            is_whole=False,
        )

    def young_orders(self, cutoff_ns: int) -> frozenset[str]:
        """Return orders that began or ended after this moment, as the feed tells it."""
        begun = (key for key, (_, first_ns, _) in self._orders.items() if first_ns > cutoff_ns)
        ended = (key for key, ended_ns in self._ended.items() if ended_ns > cutoff_ns)
        return frozenset((*begun, *ended))

    def _on_order(self, order: VenueOrder, now_ns: int) -> None:
        key = order_key(order.client_order_id, order.order_id)
        self._untold.pop(key, None)
        if order.status is VenueOrderStatus.UNKNOWN:
            self._orders.pop(key, None)
            self._untold[key] = None
            while len(self._untold) > _ENDED_MAX:
                self._untold.pop(next(iter(self._untold)))
            return
        if order.status is VenueOrderStatus.RESTING:
            if key not in self._ended:
                first_ns = self._orders[key][1] if key in self._orders else now_ns
                self._orders[key] = (order, first_ns, now_ns)
            return
        self._orders.pop(key, None)
        self._ended.setdefault(key, now_ns)
        while len(self._ended) > _ENDED_MAX:
            self._ended.pop(next(iter(self._ended)))

    def _forget(self) -> None:
        self.connected_ms = None
        self._orders.clear()
        self._ended.clear()
        self._untold.clear()
        self._positions.clear()


def resting(order: VenueOrder) -> Resting:
    """Return an order of the venue as the witnesses compare it."""
    return Resting(
        order.order_id, order.client_order_id, order.market, order.side, order.price_e4, order.remaining_e2
    )


def fill_terms(fill: VenueFill) -> FillTerms:
    """Return a fill of the venue as the witnesses compare it."""
    return FillTerms(fill.market, fill.side, fill.price_e4, fill.qty_e2, fill.fee_e6)

"""Count what we told the venue, as the private feed repeats it: creates, amends, decreases, cancels.

Counted is what the venue saw, not what anybody says was sent. Rules of the file:

* The first word about an order is its create, whatever became of it in that moment.
* A change that the venue made (trade, expiry, close, self-trade prevention) is not ours.
* A cancel is told as a decrease to nothing (kalshi-api 23.10), a mass cancel as one
  of each order; the feed cannot tell them apart, so all of them count.
* The same word twice, or an older one after a newer one, counts nothing.
* An order that a listing showed first was created while we did not hear: it is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from libs.common.kalshi.model import VenueOrder, VenueOrderStatus

_ORDERS_MAX: Final = 50_000
_AMEND: Final = "Amend"
_DECREASE: Final = "Decrease"
_OF_THE_VENUE: Final = frozenset(
    {
        "Trade",
        "MarginCancel",
        "SelfTradeCancel",
        "ExpiryCancel",
        "CloseCancel",
        "HaltCancel",
        "PostOnlyCrossCancel",
        "ReduceOnlyCancel",
        "SettlementBoundsCancel",
    }
)


class Heard(NamedTuple):
    """What one word about an order was."""

    messages: int
    """Requests of ours."""
    placed: int
    """Those that placed an order or moved it."""


_NOTHING: Final = Heard(0, 0)


class _Told(NamedTuple):
    updated_ms: int
    status: VenueOrderStatus
    price_e4: int
    initial_e2: int
    remaining_e2: int
    filled_e2: int
    changes: int


@dataclass(slots=True)
class Messages:
    """The newest word about each order of ours, by the venue's id; the oldest ones are forgotten."""

    _told: dict[str, _Told] = field(default_factory=dict)

    def on_listing(self, orders: Iterable[VenueOrder]) -> None:
        """Learn orders that were there before we listened."""
        for order in orders:
            if order.order_id not in self._told:
                self._keep(order, 0)

    def on_order(self, order: VenueOrder) -> Heard:
        """Take a word of the feed and return what of ours was behind it."""
        before = self._told.get(order.order_id)
        if before is None:
            self._keep(order, 1)
            return Heard(1, int(order.reason != _DECREASE))
        if order.updated_ms < before.updated_ms or _content(order) == before[:-1]:
            return _NOTHING
        heard = _heard(order, before)
        self._keep(order, before.changes + heard.messages)
        return heard

    def changes(self, order_id: str) -> int:
        """Return how many requests of ours about an order were told so far.

        A fill may come before the first word about its order: that create counts already.
        """
        told = self._told.get(order_id)
        return 1 if told is None else told.changes

    def _keep(self, order: VenueOrder, changes: int) -> None:
        self._told[order.order_id] = _Told(*_content(order), changes)
        while len(self._told) > _ORDERS_MAX:
            del self._told[next(iter(self._told))]


def _heard(order: VenueOrder, before: _Told) -> Heard:
    if order.reason in _OF_THE_VENUE:
        return _NOTHING
    if order.reason == _AMEND:
        return Heard(1, 1)
    if order.reason == _DECREASE:
        return Heard(1, 0)
    # A reason that nobody documented: ours unless only fills changed the order.
    is_filled = order.filled_e2 != before.filled_e2
    same_terms = (order.price_e4, order.initial_e2) == (before.price_e4, before.initial_e2)
    return _NOTHING if is_filled and same_terms else Heard(1, 0)


def _content(order: VenueOrder) -> tuple[int, VenueOrderStatus, int, int, int, int]:
    return (
        order.updated_ms,
        order.status,
        order.price_e4,
        order.initial_e2,
        order.remaining_e2,
        order.filled_e2,
    )

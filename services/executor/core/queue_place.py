"""Where our orders stand in their queues, and what a place is worth.

The venue serves a price level in the order of arrival. What rests before an order of
ours (`ahead`) only falls while the order keeps its price and does not grow; it is at
most what rests at the level besides our own orders. So a place is known from the
touch alone: the level's quantity when we joined, lowered whenever the level is smaller
than that. Shrinkage behind us is indistinguishable from shrinkage before us, so this
is an upper bound, which the venue's own `queue_positions` corrects now and then.

Worth (frontier 4.11): moving gives up the contracts that would stand before us at
the new price but do not here. The executor sees the touch only, so an improved price
loses no place, a price at the touch joins behind it, and a deeper one is judged by
the level that we leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from libs.common.domain.side import Side
from libs.common.messages.market import TopV1
from libs.common.messages.target import QuoteV1
from services.executor.core.orders import OwnOrder
from services.executor.core.plan import MarketNow, PlanRules

MOVE_TOKENS = 12
"""A cancel and a create (kalshi-api 5.2): what a move costs where it costs most."""


@dataclass(slots=True)
class _Place:
    price_e4: int
    total_e2: int
    ahead_e2: int


@dataclass(slots=True)
class QueuePlaces:
    """The places of every resting order whose place is known, by client order id."""

    is_used: bool = False
    """Whether places are worth anything: else none is reckoned."""
    _places: dict[str, _Place] = field(default_factory=dict)

    def look(self, orders: Iterable[OwnOrder], top: TopV1) -> None:
        """Take a market's touch: orders that joined it get a place, places behind it can only fall."""
        resting = [order for order in orders if order.order_id and not order.is_in_flight]
        for order in resting:
            best_e4, best_e2 = (
                (top.bid_e4, top.bid_e2) if order.side is Side.BID else (top.ask_e4, top.ask_e2)
            )
            place = self._held(order)
            if best_e4 is None or (order.price_e4 - best_e4) * order.side.sign > 0:
                continue  # the touch is older than the order, or the book is gone
            if order.price_e4 != best_e4:
                continue  # deeper than what we see
            own_e2 = sum(
                one.remaining_e2
                for one in resting
                if one.side is order.side and one.price_e4 == best_e4 and one.heard_ms <= top.venue_ms
            )
            others_e2 = max(0, best_e2 - own_e2)
            if place is None:
                self._places[order.client_order_id] = _Place(order.price_e4, order.total_e2, others_e2)
            else:
                place.ahead_e2 = min(place.ahead_e2, others_e2)

    def on_read(
        self, orders: Iterable[OwnOrder], ahead_e2: Mapping[str, int], began_ns: int, lag_ns: int
    ) -> None:
        """Take the venue's own word, by venue order id, for orders that nothing was asked of since."""
        for order in orders:
            told = ahead_e2.get(order.order_id)
            is_settled = not order.is_in_flight and began_ns - max(order.asked_ns, order.answered_ns) > lag_ns
            if told is not None and is_settled:
                self._places[order.client_order_id] = _Place(order.price_e4, order.total_e2, told)

    def of(self, orders: Iterable[OwnOrder]) -> dict[str, int]:
        """Return what rests before each of these orders, as far as known."""
        held = ((order, self._held(order)) for order in orders)
        return {order.client_order_id: place.ahead_e2 for order, place in held if place is not None}

    def keep(self, client_order_ids: Iterable[str]) -> None:
        """Forget every order but these."""
        alive = set(client_order_ids)
        self._places = {client: place for client, place in self._places.items() if client in alive}

    # A price or a larger size loses the place; a smaller size keeps it (kalshi-api 13.3).
    def _held(self, order: OwnOrder) -> _Place | None:
        place = self._places.get(order.client_order_id)
        if place is None or (place.price_e4 == order.price_e4 and order.total_e2 <= place.total_e2):
            return place
        del self._places[order.client_order_id]
        return None


def is_place_worth_more(order: OwnOrder, quote: QuoteV1, now: MarketNow, rules: PlanRules) -> bool:
    """Return whether an order should keep its place although it gives less than is wanted."""
    ahead_e2 = now.ahead_e2.get(order.client_order_id)
    gained_e4 = (quote.price_e4 - order.price_e4) * order.side.sign
    if ahead_e2 is None or not rules.place_value_e4 or gained_e4 <= 0:
        return False
    qty_e2 = min(order.remaining_e2, quote.qty_e2)
    lost_e2 = max(0, _behind_e2(order, quote.price_e4, now, ahead_e2) - ahead_e2)
    price_e6 = lost_e2 * rules.place_value_e4 + MOVE_TOKENS * rules.token_price_e6
    return gained_e4 * qty_e2 <= price_e6


def _behind_e2(order: OwnOrder, price_e4: int, now: MarketNow, ahead_e2: int) -> int:
    """Return what would stand before the order at another price."""
    best_e4, best_e2 = (now.bid_e4, now.bid_e2) if order.side is Side.BID else (now.ask_e4, now.ask_e2)
    if best_e4 is None or (price_e4 - best_e4) * order.side.sign > 0:
        return 0
    if price_e4 == best_e4:
        return best_e2
    # Nobody tells how long that queue is: as long as the one that we would leave, were we last in it.
    return ahead_e2 + order.remaining_e2

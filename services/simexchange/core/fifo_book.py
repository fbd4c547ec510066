"""The book in its obvious form: for each price a list of orders, oldest first.

No index, no caching, nothing clever: this is the reference that everything
else is compared with. It is the whole book of a market with synthetic flow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from libs.common.domain.side import Side
from services.simexchange.core.engine import Match, Matched
from services.simexchange.core.orders import Order, SelfTradePrevention


class FifoBook:
    """Price-time priority over orders of accounts; see `engine.BookEngine` for each method."""

    def __init__(self) -> None:
        self._levels: dict[Side, dict[int, list[Order]]] = {Side.BID: {}, Side.ASK: {}}
        self._left: dict[str, int] = {}

    def match(self, order: Order, now_ns: int) -> Matched:  # noqa: ARG002 - a tape's book needs the time
        """Match against the other side, best price first, oldest first."""
        matches: list[Match] = []
        self_cancelled: list[Order] = []
        wanted_e2 = order.remaining_e2
        while wanted_e2 > 0 and (maker := self._front(order)) is not None:
            if maker.account == order.account:
                if order.stp is SelfTradePrevention.TAKER_AT_CROSS:
                    return Matched(tuple(matches), tuple(self_cancelled), is_stopped=True)
                self.remove(maker)
                self_cancelled.append(maker)
                continue
            qty_e2 = min(wanted_e2, self._left[maker.order_id])
            wanted_e2 -= qty_e2
            self._take(maker, qty_e2)
            matches.append(Match(maker, maker.price_e4, qty_e2))
        return Matched(tuple(matches), tuple(self_cancelled))

    def fillable_e2(self, order: Order) -> int:
        """Return how much would trade now with other accounts."""
        found_e2 = 0
        for price_e4, queue in self._sorted(order.side.opposite):
            if not order.crosses(price_e4):
                break
            found_e2 += sum(self._left[o.order_id] for o in queue if o.account != order.account)
        return min(found_e2, order.remaining_e2)

    def would_cross(self, order: Order) -> bool:
        """Return whether the best opposite level crosses, own orders included."""
        return self._front(order) is not None

    def rest(self, order: Order) -> None:
        """Add the order as the youngest of its price."""
        assert order.remaining_e2 > 0, f"resting quantity above zero, was {order.remaining_e2}"
        self._levels[order.side].setdefault(order.price_e4, []).append(order)
        self._left[order.order_id] = order.remaining_e2

    def remove(self, order: Order) -> int:
        """Take the order out and return what it had left."""
        left_e2 = self._left.get(order.order_id, 0)
        if left_e2:
            self._take(order, left_e2)
        return left_e2

    def reduce(self, order: Order, by_e2: int) -> None:
        """Make the order smaller where it stands."""
        assert 0 < by_e2 < self._left[order.order_id], f"less than all of it, was {by_e2}"
        self._left[order.order_id] -= by_e2

    def displayed(self, side: Side) -> Iterable[tuple[int, int]]:
        """Return the levels, best first."""
        return [(price, self._total(queue)) for price, queue in self._sorted(side)]

    def best(self, side: Side) -> tuple[int, int] | None:
        """Return the best level."""
        levels = self._levels[side]
        if not levels:
            return None
        price_e4 = max(levels) if side is Side.BID else min(levels)
        return price_e4, self._total(levels[price_e4])

    def ahead_of(self, order: Order) -> int:
        """Return the quantity of the older orders at the price."""
        ahead_e2 = 0
        for other in self._levels[order.side].get(order.price_e4, ()):
            if other is order:
                break
            ahead_e2 += self._left[other.order_id]
        return ahead_e2

    def resting(self) -> Iterator[Order]:
        """Return every order."""
        for levels in self._levels.values():
            for queue in levels.values():
                yield from queue

    def _front(self, order: Order) -> Order | None:
        """Return the first order that this one would trade with, or None."""
        levels = self._levels[order.side.opposite]
        if not levels:
            return None
        price_e4 = min(levels) if order.side is Side.BID else max(levels)
        return levels[price_e4][0] if order.crosses(price_e4) else None

    def _take(self, order: Order, qty_e2: int) -> None:
        left_e2 = self._left[order.order_id] - qty_e2
        if left_e2:
            self._left[order.order_id] = left_e2
            return
        del self._left[order.order_id]
        levels = self._levels[order.side]
        queue = levels[order.price_e4]
        queue.remove(order)  # orders compare by identity
        if not queue:
            del levels[order.price_e4]

    def _sorted(self, side: Side) -> list[tuple[int, list[Order]]]:
        return sorted(self._levels[side].items(), reverse=side is Side.BID)

    def _total(self, queue: list[Order]) -> int:
        return sum(self._left[order.order_id] for order in queue)

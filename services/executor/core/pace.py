"""How fast orders go out: how many in the last second, at what cost in the last minute, how alike."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from libs.common.domain.side import Side
from libs.common.risk.model import Order

_SECOND_NS = 1_000_000_000
_MINUTE_NS = 60 * _SECOND_NS

Likeness = tuple[str, Side, int, int]
"""Market, side, price (E4) and size (E2): orders with all four the same are the same order again."""


def likeness(order: Order) -> Likeness:
    """Return what makes an order the same as another."""
    return order.market, order.side, order.price_e4, order.qty_e2


@dataclass(slots=True)
class _Slice:
    began_ns: int
    newest_ns: int
    cost_e6: int


@dataclass(slots=True)
class Pace:
    """Counts of what was let through; every order counts the moment it passes, whatever becomes of it."""

    _second: deque[tuple[int, Likeness]] = field(default_factory=deque)
    _alike: Counter[Likeness] = field(default_factory=Counter)
    _minute: deque[_Slice] = field(default_factory=deque)
    _minute_e6: int = 0

    def passed(self, order: Order, now_ns: int) -> None:
        """Count an order."""
        self._second.append((now_ns, likeness(order)))
        self._alike[likeness(order)] += 1
        # Slices of a second keep a minute of thousands of orders in sixty entries; a slice leaves with its
        # newest order, so the sum is of up to 61 s and never of less than 60.
        if self._minute and now_ns - self._minute[-1].began_ns < _SECOND_NS:
            newest = self._minute[-1]
            newest.newest_ns, newest.cost_e6 = now_ns, newest.cost_e6 + order.cost_e6
        else:
            self._minute.append(_Slice(now_ns, now_ns, order.cost_e6))
        self._minute_e6 += order.cost_e6

    def orders_last_s(self, now_ns: int) -> int:
        """Return how many passed within the last second."""
        while self._second and now_ns - self._second[0][0] >= _SECOND_NS:
            _, alike = self._second.popleft()
            self._alike[alike] -= 1
            if not self._alike[alike]:
                del self._alike[alike]
        return len(self._second)

    def repeated_last_s(self, order: Order, now_ns: int) -> int:
        """Return how many of them were the same as this one."""
        self.orders_last_s(now_ns)
        return self._alike.get(likeness(order), 0)

    def notional_last_minute_e6(self, now_ns: int) -> int:
        """Return what those of the last minute cost."""
        while self._minute and now_ns - self._minute[0].newest_ns >= _MINUTE_NS:
            self._minute_e6 -= self._minute.popleft().cost_e6
        return self._minute_e6

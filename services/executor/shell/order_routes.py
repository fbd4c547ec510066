"""Has the requests that may change an order signed before anybody wants to send them.

An order's amend and decrease have paths of their own, so their headers can be made only
once it has an id, and are not worth making any more when it has ended. Beyond
``ORDERS_MAX`` the oldest go: signing for thousands would take a core, and an inline
signature costs latency and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from libs.common.kalshi.presign import Presigner, Route
from libs.common.messages.execution import OrderState, OrderV1

ORDERS_MAX: Final = 400
"""Two signatures every two seconds each: 0.12 s of a core a second with RSA-2048."""
_ENDED_KEPT: Final = 16
"""An order may end while a change of it waits for the journal; the request leaves all the same."""
_ENDED: Final = frozenset({OrderState.EXECUTED, OrderState.CANCELLED, OrderState.REFUSED})


class OrderRoutes:
    """Follows orders by the states that are told of them."""

    def __init__(self, presigner: Presigner, routes_of: Callable[[str], tuple[Route, ...]]) -> None:
        self._presigner = presigner
        self._routes_of = routes_of
        self._watched: dict[str, tuple[Route, ...]] = {}
        self._over: deque[str] = deque()

    def on_order(self, order: OrderV1) -> None:
        """Watch an order that rests, forget one that has ended."""
        if not order.order_id:
            return
        if order.order_id in self._over:  # told again, or found to be alive after all
            self._over.remove(order.order_id)
        if order.state in _ENDED:
            self._over.append(order.order_id)
            if len(self._over) > _ENDED_KEPT:
                self._forget(self._over.popleft())
        elif order.order_id not in self._watched:
            if len(self._watched) >= ORDERS_MAX:
                self._forget(next(iter(self._watched)))
            routes = self._watched[order.order_id] = self._routes_of(order.order_id)
            self._presigner.watch(*routes)

    def gauges(self) -> dict[str, float]:
        """Return who signed: the thread ahead of the request, or the loop while the order waited."""
        signer = self._presigner
        return {
            "signed_ahead": float(signer.ahead_total),
            "signed_inline": float(signer.inline_total + signer.unwatched_total),
        }

    def _forget(self, order_id: str) -> None:
        routes = self._watched.pop(order_id, None)
        if routes is not None:
            self._presigner.unwatch(*routes)

"""Has the requests that may change an order signed before anybody wants to send them.

An order's amend and decrease have paths of their own, so their headers can be made only
once it has an id, and are not worth making any more when it has ended. Beyond
``ORDERS_MAX`` the oldest go: signing for thousands would take a core. A change that is
planned before its route was signed, or after the route was given up, has it signed while
its intent is stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from libs.common.kalshi.order_sender import ChangeRoutes
from libs.common.kalshi.presign import Presigner
from libs.common.messages.execution import OrderState, OrderV1
from services.executor.core.effects import SendBatch
from services.executor.core.requests import AmendRequest

ORDERS_MAX: Final = 400
"""Two signatures every two seconds each: 0.12 s of a core a second with RSA-2048."""
_ENDED_KEPT: Final = 16
"""An order may end while a change of it waits for the journal; the request leaves all the same."""
_ENDED: Final = frozenset({OrderState.EXECUTED, OrderState.CANCELLED, OrderState.REFUSED})


class OrderRoutes:
    """Follows orders by the states that are told of them."""

    def __init__(self, presigner: Presigner, routes_of: Callable[[str], ChangeRoutes]) -> None:
        self._presigner = presigner
        self._routes_of = routes_of
        self._watched: dict[str, ChangeRoutes] = {}
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
        else:
            self._watch(order.order_id)

    def on_batch(self, batch: SendBatch) -> None:
        """Have what a planned batch needs signed by the time that its intent is stored."""
        changed = [one.request for one in batch.amends]
        self._presigner.hurry(
            *(self._watch(one.order_id).amend for one in changed if isinstance(one, AmendRequest)),
            *(self._watch(one.order_id).decrease for one in batch.decreases),
        )

    def gauges(self) -> dict[str, float]:
        """Return who signed and who waited for it.

        - ``signed_ahead``: by the thread; ``signed_hurried`` of them out of turn, while an intent was stored.
        - ``signed_inline``: by the loop's own thread, while an order or a cancel waited.
        - ``signature_waits``: orders and changes whose intent was stored and whose signature was not
          there yet, so that their bytes waited for the thread: ``signature_waited_ms`` altogether.
        """
        signer = self._presigner
        return {
            "signed_ahead": float(signer.ahead_total),
            "signed_hurried": float(signer.hurried_total),
            "signed_inline": float(signer.inline_total + signer.unwatched_total),
            "signature_waits": float(signer.waits_total),
            "signature_waited_ms": signer.waited_ns / 1_000_000,
        }

    def _watch(self, order_id: str) -> ChangeRoutes:
        routes = self._watched.get(order_id)
        if routes is None:
            if len(self._watched) >= ORDERS_MAX:
                self._forget(next(iter(self._watched)))
            routes = self._watched[order_id] = self._routes_of(order_id)
            self._presigner.watch(*routes)
        return routes

    def _forget(self, order_id: str) -> None:
        routes = self._watched.pop(order_id, None)
        if routes is not None:
            self._presigner.unwatch(*routes)

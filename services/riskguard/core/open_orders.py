"""Everything that may still fill: what the venue shows us, and what the executor may have sent.

Own reading first: the private feed is quick and forgets, the listing lags and is
whole. The executor's claims only add: an order that it has on its way or does not
know the fate of counts as resting, because it may be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from libs.common.domain.ids import parse_client_order_id
from libs.common.kalshi.model import VenueOrder, VenueOrderStatus
from libs.common.messages.execution import OrderState, OrderV1
from services.riskguard.core.exposure import RestingOrder

_S = 1_000_000_000
_MINUTE_NS = 60 * _S
_LISTED_AFTER_NS = 2 * _S
"""An order that a listing begun this long after it does not show is gone: reads lag at most half a second."""
_CLAIM_NS = 30 * _S
_ENDED_MAX = 20_000
_TERMINAL = frozenset({OrderState.EXECUTED, OrderState.CANCELLED, OrderState.REFUSED})
_UNCERTAIN = frozenset({OrderState.INTENDED, OrderState.SENT, OrderState.UNKNOWN})


def key_of(client_order_id: str, order_id: str) -> str:
    """Return the key of an order, known before the venue named it."""
    return client_order_id or f"#{order_id}"


@dataclass(slots=True)
class OpenOrders:
    """The account's open orders."""

    env: str
    _seen: dict[str, tuple[VenueOrder, int]] = field(default_factory=dict)
    _ended: dict[str, int] = field(default_factory=dict)
    _claims: dict[str, tuple[OrderV1, int]] = field(default_factory=dict)
    _new: deque[int] = field(default_factory=deque)

    def on_feed(self, order: VenueOrder, now_ns: int) -> None:
        """Take a change told by the own private feed."""
        key = key_of(order.client_order_id, order.order_id)
        if order.status is not VenueOrderStatus.RESTING:
            if key not in self._seen and key not in self._ended and self._is_ours(order):
                self._new.append(now_ns)
            self._seen.pop(key, None)
            self._end(key, now_ns)
        elif key not in self._ended:
            if key not in self._seen and self._is_ours(order):
                self._new.append(now_ns)
            self._seen[key] = (order, now_ns)

    def on_listing(self, orders: Iterable[VenueOrder], started_ns: int, now_ns: int) -> None:
        """Take a whole listing of resting orders."""
        listed = {key_of(order.client_order_id, order.order_id): order for order in orders}
        for key, order in listed.items():
            if key not in self._seen and key not in self._ended:
                self._seen[key] = (order, now_ns)
        for key, (_, heard_ns) in list(self._seen.items()):
            if key not in listed and started_ns - heard_ns > _LISTED_AFTER_NS:
                del self._seen[key]
        for key, (claim, heard_ns) in list(self._claims.items()):
            patience_ns = _CLAIM_NS if claim.state in _UNCERTAIN else _LISTED_AFTER_NS
            if key not in listed and started_ns - heard_ns > patience_ns:
                del self._claims[key]

    def on_claim(self, order: OrderV1, now_ns: int) -> None:
        """Take the executor's word about one of its orders."""
        key = key_of(order.client_order_id, order.order_id)
        before = self._claims.get(key)
        if before is not None and before[0].version >= order.version:
            return
        if order.state in _TERMINAL or key in self._ended:
            self._claims.pop(key, None)
        else:
            self._claims[key] = (order, now_ns)

    def by_market(self) -> dict[str, tuple[RestingOrder, ...]]:
        """Return what may still fill, market by market, foreign orders included."""
        found: dict[str, list[RestingOrder]] = {}
        for order, _ in self._seen.values():
            found.setdefault(order.market, []).append(
                RestingOrder(order.side, order.price_e4, order.remaining_e2)
            )
        for key, (claim, _) in self._claims.items():
            if key not in self._seen and key not in self._ended and claim.remaining_e2 > 0:
                found.setdefault(claim.market, []).append(
                    RestingOrder(claim.side, claim.price_e4, claim.remaining_e2)
                )
        return {market: tuple(orders) for market, orders in found.items()}

    def ours(self) -> list[VenueOrder]:
        """Return the orders of ours that the venue shows us."""
        return [order for order, _ in self._seen.values() if self._is_ours(order)]

    def seen_ours(self) -> int:
        """Return how many orders of ours the venue shows us."""
        return len(self.ours())

    def claimed_ours(self) -> int:
        """Return how many more the executor said it had, or may have."""
        return sum(key not in self._seen and key not in self._ended for key in self._claims)

    def new_within_a_minute(self, now_ns: int) -> int:
        """Return how many new orders of ours the feed told of in the last minute."""
        while self._new and now_ns - self._new[0] > _MINUTE_NS:
            self._new.popleft()
        return len(self._new)

    def _is_ours(self, order: VenueOrder) -> bool:
        identity = parse_client_order_id(order.client_order_id)
        return identity is not None and identity.env == self.env

    def _end(self, key: str, now_ns: int) -> None:
        self._claims.pop(key, None)
        self._ended.setdefault(key, now_ns)
        while len(self._ended) > _ENDED_MAX:
            self._ended.pop(next(iter(self._ended)))

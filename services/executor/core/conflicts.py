"""Orders that a minute of evidence did not settle: handed to an operator, each once, never guessed at.

An order is open while it is unknown or must be looked up. Evidence settles nearly all of
them within seconds; what is still open after `handover_ns` becomes a conflict: its market stays
in quarantine, its worst case stays counted, and it is told once with all that a person needs.
A conflict ends by evidence that came late, or by an operator's order to prove it: a takeover of
this process from itself triggers every group that the order can be in, so that nothing of it rests
or can come, and reads then tell what it was (ADR 0014).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from services.executor.core.account import Now
from services.executor.core.effects import Effect, Log
from services.executor.core.orders import OwnOrder

_MS = 1_000_000


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """One open order as an operator sees it; quantities in E2, the price in E4.

    Attributes:
        order_id: Empty where the venue never named it: it may not exist.
        open_e2: What it may still change the position by, counted in every limit.
        reason: The last thing that left it open.
        open_ms: For how long.
    """

    client_order_id: str
    order_id: str
    market: str
    shard: int
    side: str
    state: str
    price_e4: int
    total_e2: int
    filled_e2: int
    booked_e2: int
    open_e2: int
    reason: str
    epoch: int
    order_group_id: str
    decision_id: str
    misses: int
    open_ms: int


@dataclass(slots=True)
class Conflicts:
    """Which orders are open since when, and which of them were handed over.

    Attributes:
        handover_ns: An order open for so long is an operator's. The promise is 60 s (I11); the rest is
            for the second between two looks.
        handed_over: How many ever were.
    """

    handover_ns: int = 58_000_000_000
    handed_over: int = 0
    _since_ns: dict[str, int] = field(default_factory=dict)
    _open: dict[str, Conflict] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Return how many wait for an operator."""
        return len(self._open)

    def rows(self) -> list[Conflict]:
        """Return what waits, the oldest first."""
        return sorted(self._open.values(), key=lambda one: -one.open_ms)

    def look(self, unresolved: Iterable[OwnOrder], now: Now) -> list[Effect]:
        """Take the orders that are open now; return what is to be told."""
        effects: list[Effect] = []
        still: dict[str, OwnOrder] = {order.client_order_id: order for order in unresolved}
        for client in [client for client in self._since_ns if client not in still]:
            del self._since_ns[client]
            if (ended := self._open.pop(client, None)) is not None:
                effects.append(_told("ORDER_SETTLED", ended, "INFO"))
        for client, order in still.items():
            since_ns = self._since_ns.setdefault(client, order.unknown_ns if order.is_unknown else now.ns)
            if now.ns - since_ns < self.handover_ns:
                continue
            is_new = client not in self._open
            self._open[client] = _conflict(order, (now.ns - since_ns) // _MS)
            if is_new:
                self.handed_over += 1
                effects.append(_told("ORDER_CONFLICT", self._open[client], "ERROR"))
        return effects


def _conflict(order: OwnOrder, open_ms: int) -> Conflict:
    return Conflict(
        client_order_id=order.client_order_id,
        order_id=order.order_id,
        market=order.market,
        shard=order.shard,
        side=order.side.value,
        state=order.state.value,
        price_e4=order.worst_price_e4,
        total_e2=order.total_e2,
        filled_e2=order.filled_e2,
        booked_e2=order.booked_e2,
        open_e2=order.open_e2,
        reason=order.reason,
        epoch=order.epoch,
        order_group_id=order.order_group_id,
        decision_id=order.decision_id,
        misses=order.misses,
        open_ms=open_ms,
    )


def _told(event_type: str, conflict: Conflict, level: str) -> Log:
    message = "settle it with svc.executor.settle" if level == "ERROR" else ""
    return Log(event_type, message, level, msgspec.structs.asdict(conflict))

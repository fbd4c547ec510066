"""What the executor says lives, and since when it does not know what became of something.

Ages count from when we heard it, by the monotonic clock: after a restart of ours a
doubt is as young as our knowledge of it. A new epoch's leader settles what its
predecessors left open before it trades, so their doubts end with its epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from libs.common.messages.execution import OrderState, OrderV1

_MS = 1_000_000
_ENDED_MAX: Final = 20_000
_ENDED: Final = frozenset({OrderState.EXECUTED, OrderState.CANCELLED, OrderState.REFUSED})


class _Stamp(NamedTuple):
    updated_ns: int
    version: int


@dataclass(slots=True)
class Claims:
    """By client order id."""

    _live: dict[str, tuple[_Stamp, int]] = field(default_factory=dict)
    """Newest stamp and epoch of what may rest."""
    _ended: dict[str, _Stamp] = field(default_factory=dict)
    _unknown_ns: dict[str, int] = field(default_factory=dict)

    def on_order(self, order: OrderV1, now_ns: int) -> None:
        """Take the executor's word; one that is heard again, or late, changes nothing."""
        client, stamp = order.client_order_id, _Stamp(order.updated_ns, order.version)
        live = self._live.get(client)
        before = self._ended.get(client) if live is None else live[0]
        if before is not None and not _is_newer(stamp, before):
            return
        if order.state in _ENDED:
            self._live.pop(client, None)
            self._end(client, stamp)
        else:
            self._ended.pop(client, None)
            self._live[client] = (stamp, order.epoch)
        if order.state is OrderState.UNKNOWN:
            self._unknown_ns.setdefault(client, now_ns)
        else:
            self._unknown_ns.pop(client, None)

    def on_epoch(self, number: int) -> None:
        """Take a new epoch: what older ones had is its leader's to adopt, by saying so."""
        for client in [client for client, (_, epoch) in self._live.items() if epoch < number]:
            self._end(client, self._live.pop(client)[0])
            self._unknown_ns.pop(client, None)

    def lives(self, client_order_id: str) -> bool:
        """Return whether the executor says that this order may rest."""
        return client_order_id in self._live

    def oldest_unknown(self, now_ns: int) -> tuple[str, int]:
        """Return the order in doubt for longest and for how many milliseconds; none is empty and 0."""
        if not self._unknown_ns:
            return "", 0
        client = min(self._unknown_ns, key=lambda one: (self._unknown_ns[one], one))
        return client, (now_ns - self._unknown_ns[client]) // _MS

    def _end(self, client: str, stamp: _Stamp) -> None:
        self._ended[client] = stamp
        while len(self._ended) > _ENDED_MAX:
            del self._ended[next(iter(self._ended))]


def _is_newer(stamp: _Stamp, before: _Stamp) -> bool:
    # An order that a successor adopts counts its versions anew; its time goes on.
    return stamp.updated_ns > before.updated_ns or (
        stamp.updated_ns == before.updated_ns and stamp.version > before.version
    )

"""What only the venue can say: when the last create arrived, when nothing rested any more, who asked what.

Times are the venue's own clock. A request arrives when its bytes do, before any
simulated distance.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from libs.common.runtime.clock import Clock
from services.simexchange.core.venue import Venue

_CREATES: Final = ("/portfolio/events/orders", "/portfolio/events/orders/batched")
_NAMES: Final = frozenset({"orders", "batched", "order_groups", "events", "markets", "series"})
"""Parts of a path behind which a name may stand; a name is told as ``{}``, so that the record stays small."""
_VERBS: Final = frozenset(
    {"batched", "create", "trigger", "reset", "limit", "amend", "decrease", "queue_positions"}
)
_UNSIGNED: Final = "-"


class VenueRecord:
    """Looked at after every request; cheap, because it counts markets and not orders."""

    def __init__(self, venue: Venue, clock: Clock, root: str) -> None:
        self._venue = venue
        self._clock = clock
        self._root = root
        self._creates = {root + path for path in _CREATES}
        self._asked: Counter[tuple[str, str, str]] = Counter()
        self._resting: dict[tuple[str, int], bool] = {}
        self._empty_ns: dict[tuple[str, int], int] = {}
        self.last_create_ns = 0
        self.creates = 0

    def on_arrival(self, method: str, path: str, key_id: str = _UNSIGNED) -> None:
        """Note a request whose bytes are here, whatever becomes of it, and the key it names."""
        self._asked[key_id, method, _shape(path.removeprefix(self._root))] += 1
        if method == "POST" and path in self._creates:
            self.last_create_ns = self._clock.now_ns()
            self.creates += 1

    def look(self) -> None:
        """Note which accounts have nothing resting on which shard since now."""
        markets = self._venue.markets
        for name, account in self._venue.accounts.items():
            if account.is_internal:
                continue
            busy = {markets[market].shard for market, orders in account.resting.items() if orders}
            self._resting.update({(name, shard): True for shard in busy})
            for (owner, shard), was_busy in list(self._resting.items()):
                if owner == name and was_busy and shard not in busy:
                    self._resting[owner, shard] = False
                    self._empty_ns[owner, shard] = self._clock.now_ns()

    def told(self) -> dict[str, object]:
        """Return the record, JSON-ready; a shard where something rests has no time."""
        self.look()
        accounts: dict[str, dict[str, dict[str, object]]] = {}
        for (name, shard), is_busy in self._resting.items():
            accounts.setdefault(name, {})[str(shard)] = {
                "is_empty": not is_busy,
                "empty_ns": 0 if is_busy else self._empty_ns[name, shard],
            }
        return {
            "now_ns": self._clock.now_ns(),
            "last_create_ns": self.last_create_ns,
            "creates": self.creates,
            "accounts": accounts,
            "asked": [
                {"key_id": key_id, "method": method, "path": path, "count": count}
                for (key_id, method, path), count in self._asked.items()
            ],
        }


def _shape(path: str) -> str:
    """Return a path with ``{}`` in place of the names of orders, groups and markets."""
    parts = path.split("/")
    for at in range(1, len(parts)):
        if parts[at - 1] in _NAMES and parts[at] not in _NAMES and parts[at] not in _VERBS:
            parts[at] = "{}"
    return "/".join(parts)

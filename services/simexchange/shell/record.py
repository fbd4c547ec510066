"""What only the venue can say: when the last create arrived, and when nothing rested any more.

Times are the venue's own clock. A request arrives when its bytes do, before any
simulated distance.
"""

from __future__ import annotations

from typing import Final

from libs.common.runtime.clock import Clock
from services.simexchange.core.venue import Venue

_CREATES: Final = ("/portfolio/events/orders", "/portfolio/events/orders/batched")


class VenueRecord:
    """Looked at after every request; cheap, because it counts markets and not orders."""

    def __init__(self, venue: Venue, clock: Clock, root: str) -> None:
        self._venue = venue
        self._clock = clock
        self._creates = {root + path for path in _CREATES}
        self._resting: dict[tuple[str, int], bool] = {}
        self._empty_ns: dict[tuple[str, int], int] = {}
        self.last_create_ns = 0
        self.creates = 0

    def on_arrival(self, method: str, path: str) -> None:
        """Note a request whose bytes are here."""
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
        }

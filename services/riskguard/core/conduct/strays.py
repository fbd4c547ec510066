"""Watch the listings for orders that nobody answers for: orphans of ours, and other people's.

An orphan carries our prefix, rests at the venue, and no living word of the executor
names it. Two say so: our own listings beside the executor's words, and the
reconciler's results. Each is believed for as long as its own listings (or results)
go on showing it: silence of either makes no orphan older.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from libs.common.kalshi.model import VenueOrder
from libs.common.messages.risk import ReconResultV1

_MS = 1_000_000
_ORPHAN: Final = "orders_only_exchange"


@dataclass(slots=True)
class Strays:
    """Since when each has been seen, and when last, monotonic."""

    _listed: dict[str, tuple[int, int]] = field(default_factory=dict)
    _told: dict[str, tuple[int, int]] = field(default_factory=dict)
    _foreign: frozenset[str] = frozenset()
    _news: list[VenueOrder] = field(default_factory=list)

    def on_listing(self, ours: Iterable[VenueOrder], others: Iterable[VenueOrder], started_ns: int) -> None:
        """Take the resting orders of one whole listing, by whose prefix they carry."""
        listed = {order.client_order_id for order in ours}
        self._listed = {
            client: (self._listed.get(client, (started_ns, 0))[0], started_ns) for client in listed
        }
        found = {order.order_id: order for order in others}
        self._news += [order for order_id, order in found.items() if order_id not in self._foreign]
        self._foreign = frozenset(found)

    def on_recon(self, result: ReconResultV1, now_ns: int) -> None:
        """Take what the reconciler found; its words are whole."""
        found = {drift.key for drift in result.drifts if drift.kind == _ORPHAN}
        self._told = {key: (self._told.get(key, (now_ns, 0))[0], now_ns) for key in found}

    def oldest_orphan(self, lives: Callable[[str], bool]) -> tuple[str, int]:
        """Return the orphan seen for longest and for how many milliseconds; none is empty and 0.

        Args:
            lives: Whether the executor says that an order may rest: it may have said so since the listing.
        """
        ages = {client: last - first for client, (first, last) in self._listed.items() if not lives(client)}
        for key, (first, last) in self._told.items():
            ages[key] = max(ages.get(key, 0), last - first)
        if not ages:
            return "", 0
        oldest = max(ages, key=lambda key: (ages[key], key))
        return oldest, ages[oldest] // _MS

    @property
    def foreign_orders(self) -> int:
        """Return how many orders without our prefix rest."""
        return len(self._foreign)

    def take_news(self) -> list[VenueOrder]:
        """Return the foreign orders that were not told yet."""
        news, self._news = self._news, []
        return news

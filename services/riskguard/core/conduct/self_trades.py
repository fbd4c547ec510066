"""Find trades whose both sides are ours: the venue's prevention failed, or was not asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from libs.common.kalshi.model import VenueFill

_TRADES_MAX: Final = 20_000
"""Both sides of a trade carry one stamp, so they come close together, in listings and on the feed."""


@dataclass(slots=True)
class SelfTrades:
    """Of the present day; ``day_ms`` is when it began, by venue time."""

    day_ms: int = 0
    _orders: dict[str, str] = field(default_factory=dict)
    """Trade id to our first order in it."""
    _found_ms: list[int] = field(default_factory=list)

    def on_fill(self, fill: VenueFill) -> None:
        """Take a fill, each once."""
        first = self._orders.setdefault(fill.trade_id, fill.order_id)
        if first != fill.order_id and fill.venue_ms >= self.day_ms:
            self._found_ms.append(fill.venue_ms)
        while len(self._orders) > _TRADES_MAX:
            del self._orders[next(iter(self._orders))]

    def begin_day(self, day_ms: int) -> None:
        """Forget those of earlier days."""
        self.day_ms = day_ms
        self._found_ms = [venue_ms for venue_ms in self._found_ms if venue_ms >= day_ms]

    @property
    def count(self) -> int:
        """Return how many there were on this day."""
        return len(self._found_ms)

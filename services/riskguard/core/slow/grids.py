"""Price grids that change under our orders: what was priced on the old one must be priced again."""

from __future__ import annotations

from libs.common.messages.market import MarketV1
from services.riskguard.core.slow.markets import Markets, Terms

_MS = 1_000_000


class GridWatch:
    """The newest change where orders of ours rested."""

    def __init__(self) -> None:
        self.market = ""
        self._changed_ns: int | None = None

    def on_status(self, status: MarketV1, before: Terms | None, markets: Markets, now_ns: int) -> None:
        """Take what a market is, and what it was."""
        has_changed = before is not None and before.grid != status.grid
        if has_changed and status.market in markets.quoted(now_ns):
            self.market, self._changed_ns = status.market, now_ns

    def settling_ms(self, now_ns: int) -> int | None:
        """Return how long ago a grid changed under our orders, None if never."""
        return None if self._changed_ns is None else (now_ns - self._changed_ns) // _MS

"""What fills cost beside their price: slippage of takers, and the move after fills of makers (D-065).

Rules of the file:

* A taker's fill is compared with the last middle before it; ours decided on that
  book or an older one. A maker's fill is compared with the middle a while later.
* Times are the exchange's own, so a fill that arrives late is measured the same.
* A fill without a known middle is not counted: fills from before our start are
  history, and a market whose book nobody shows has no middle.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueFill
from services.riskguard.core.money.mids import Mids

_WAITING_MAX: Final = 5_000
_GIVE_UP_MS: Final = 10_000
"""A book that does not come up to the moment within this has no middle then."""


@dataclass(slots=True)
class WeightedMean:
    """Mean of amounts against us, weighted by quantity, over the newest fills within a window."""

    fills_max: int
    fills_min: int
    within_ms: int
    _seen: deque[tuple[int, int, int]] = field(default_factory=deque)
    """Exchange time, twice the amount, quantity."""

    def add(self, venue_ms: int, against_2e4: int, qty_e2: int) -> None:
        """Count one fill."""
        self._seen.append((venue_ms, against_2e4, qty_e2))
        while len(self._seen) > self.fills_max:
            self._seen.popleft()

    def mean_e4(self, now_ms: int) -> int | None:
        """Return the mean in ten-thousandths of a dollar, rounded up; None while there are too few."""
        seen = [fill for fill in self._seen if now_ms - fill[0] <= self.within_ms]
        if len(seen) < max(1, self.fills_min):
            return None
        quantity = 2 * sum(qty for _, _, qty in seen)
        return -(-sum(against * qty for _, against, qty in seen) // quantity)


@dataclass(slots=True)
class FillQuality:
    """Measures both; ``markout_after_ms`` after a maker's fill the middle is read again."""

    mids: Mids
    markout_after_ms: int
    slippage: WeightedMean
    markout: WeightedMean
    _waiting: deque[tuple[VenueFill, int]] = field(default_factory=deque)
    """Maker fills and twice the middle before them."""

    def on_fill(self, fill: VenueFill) -> None:
        """Take a fill, each once."""
        mid_2e4 = self.mids.before(fill.market, fill.venue_ms)
        if mid_2e4 is None:
            return
        if fill.is_taker:
            paid_2e4 = 2 * fill.price_e4 - mid_2e4
            self.slippage.add(fill.venue_ms, _against(fill.side, -paid_2e4), fill.qty_e2)
        else:
            self._waiting.append((fill, mid_2e4))
            while len(self._waiting) > _WAITING_MAX:
                self._waiting.popleft()

    def on_tick(self, now_ms: int) -> None:
        """Measure the makers' fills whose time has come."""
        later: deque[tuple[VenueFill, int]] = deque()
        for fill, mid_2e4 in self._waiting:
            due_ms = fill.venue_ms + self.markout_after_ms
            if self.mids.knows(fill.market, due_ms):
                then_2e4 = self.mids.before(fill.market, due_ms + 1)
                if then_2e4 is None:
                    # Told so late that the middle of then is forgotten.
                    continue
                self.markout.add(fill.venue_ms, _against(fill.side, then_2e4 - mid_2e4), fill.qty_e2)
            elif now_ms - due_ms <= _GIVE_UP_MS:
                later.append((fill, mid_2e4))
        self._waiting = later


def _against(side: Side, move_2e4: int) -> int:
    """Return how much a move of the price is against whoever bought (bid) or sold."""
    return -side.sign * move_2e4

"""One market's book: both ladders, what was said about them, and whether to believe it.

Rules: a book lives from a snapshot on and accepts only changes above the
snapshot's clock; a change that contradicts it (`BookCorrupt`) or a word from
the session that something was missed makes it wait for the next snapshot.
While it waits it is shown empty and stale, never as it last was: a quote from
the past is worse than none. A crossed book is shown as it is (a match and the
order that caused it may come as two changes) but one that stays crossed
contradicts itself too.
"""

from __future__ import annotations

from libs.common.domain.grid import PriceGrid
from libs.common.domain.side import Side
from libs.common.kalshi.model import BookDelta, BookSnapshot, PublicTrade
from libs.common.messages.market import FeaturesV1, MarketV1, SiblingV1, WhaleV1
from libs.common.runtime.errors import BookCorrupt
from services.marketdata.core.features import Features, Touch
from services.marketdata.core.ladder import Ladder
from services.marketdata.core.whale import WhaleRules, Whales

DEPTH = 20
"""Levels a side in `md.book`."""

Reach = int
"""How far up a change reached: below the published levels, into them, or to the touch."""
NOWHERE: Reach = 0
IN_DEPTH: Reach = 1
AT_TOUCH: Reach = 2


class Book:
    """The book of one market and everything estimated from it."""

    __slots__ = (
        "_grid",
        "_snapshot_clock",
        "_ticks",
        "_touch",
        "_whale_e2",
        "as_of_ms",
        "asks",
        "bids",
        "clock",
        "crossed_since_ms",
        "features",
        "has_snapshot",
        "last_e4",
        "sequence",
        "sibling",
        "status",
        "told_ns",
        "told_touch",
        "venue_ms",
        "whales",
    )

    def __init__(self, status: MarketV1, tau_ms: int, whales: WhaleRules) -> None:
        self.status = status
        self.bids = Ladder(Side.BID)
        self.asks = Ladder(Side.ASK)
        self.features = Features(tau_ms)
        self.whales = Whales(status.market, whales)
        self.has_snapshot = False
        self.clock = 0
        self.venue_ms = 0
        self.as_of_ms = 0
        """Newest exchange time up to which this book was known current; stands still while it waits."""
        self.sequence = 0
        self.last_e4: int | None = None
        self.crossed_since_ms = 0
        self.told_touch: tuple[int | None, int, int | None, int, bool] | None = None
        self.told_ns = 0
        """The touch last published, to publish the next only if it differs."""
        self.sibling = SiblingV1(market=status.market, bid_e4=None, ask_e4=None)
        self._snapshot_clock = 0
        self._touch: Touch = (0, 0, 0, 0)
        self._grid = PriceGrid.of(status.grid)
        self._ticks: dict[int, int] = {}
        self._whale_e2 = whales.size_e2_min

    def set_status(self, status: MarketV1) -> None:
        """Take what the market now is; the grid may have changed."""
        if status.grid != self.status.grid:
            self._grid = PriceGrid.of(status.grid)
            self._ticks.clear()
        self.status = status

    def restart(self, snapshot: BookSnapshot) -> bool:
        """Begin anew from a snapshot and return whether it agreed with what was held.

        Without an earlier book there is nothing to disagree with.

        Raises:
            BookCorrupt: The snapshot contradicts itself; the book waits for another.
        """
        bids, asks = (self.bids.top(len(self.bids)), self.asks.top(len(self.asks)))
        had_snapshot, clock_before = self.has_snapshot, self.clock
        self.has_snapshot = False
        self.bids.replace(snapshot.bids)
        self.asks.replace(snapshot.asks)
        agrees = (
            not had_snapshot
            or snapshot.clock != clock_before
            or (bids == self.bids.top(len(self.bids)) and asks == self.asks.top(len(self.asks)))
        )
        if not had_snapshot or not agrees:
            self.features.reset()
            self.whales.reset()
        self.has_snapshot = True
        self.clock = self._snapshot_clock = snapshot.clock
        self.venue_ms = max(self.venue_ms, snapshot.venue_ms)
        self.crossed_since_ms = 0
        self._touch = (0, 0, 0, 0)
        self._look_at_touch()
        return agrees

    def withdraw(self) -> None:
        """Stop believing the book until the next snapshot."""
        self.has_snapshot = False
        self.bids.clear()
        self.asks.clear()
        self.features.reset()
        self.whales.reset()
        self._touch = (0, 0, 0, 0)
        self.crossed_since_ms = 0
        self._refresh_sibling()

    def apply(self, delta: BookDelta, whales: list[WhaleV1]) -> Reach:
        """Apply one change and return how far up it reached; whales are appended.

        Raises:
            BookCorrupt: The change contradicts the book, which is unchanged.
        """
        clock = delta.clock
        if clock:
            if clock <= self._snapshot_clock:
                return NOWHERE  # the snapshot includes it (kalshi-api 23.5)
            if clock < self.clock:
                raise BookCorrupt(f"clock of at least {self.clock}, was {clock}")
            self.clock = clock
        price_e4, change_e2 = delta.price_e4, delta.change_e2
        if delta.side is Side.BID:
            ladder, other = self.bids, self.asks
        else:
            ladder, other = self.asks, self.bids
        level_e2 = ladder.apply(price_e4, change_e2)
        self.venue_ms = max(self.venue_ms, delta.venue_ms)
        if (change_e2 > 0 and level_e2 >= self._whale_e2) or (change_e2 < 0 and self.whales.is_watching):
            sides = (ladder.total_e2, other.total_e2)
            whales += self.whales.on_level(delta, level_e2, sides)
        best = ladder.best()
        if price_e4 == best or (
            level_e2 == 0 and (best is None or self._is_beyond(delta.side, price_e4, best))
        ):
            self._look_at_touch()
            return AT_TOUCH
        return IN_DEPTH if ladder.is_within(price_e4, DEPTH) else NOWHERE

    def on_trade(self, trade: PublicTrade) -> None:
        """Take a public trade."""
        self.last_e4 = trade.price_e4
        self.features.on_trade(trade.taker_side.sign * trade.qty_e2, trade.venue_ms)
        if self.whales.is_watching:
            self.whales.on_trade(trade.taker_side, trade.price_e4, trade.qty_e2)

    def touch(self) -> tuple[int | None, int, int | None, int]:
        """Return best bid and its size, best ask and its size; None and 0 for an empty side."""
        bid, ask = self.bids.best(), self.asks.best()
        return (
            bid,
            0 if bid is None else self.bids.at(bid),
            ask,
            0 if ask is None else self.asks.at(ask),
        )

    def features_now(self) -> FeaturesV1 | None:
        """Return the features, or None while a side is empty or the book is crossed."""
        bid, bid_e2, ask, _ = self._touch
        if not bid_e2:
            return None
        return self.features.at(self._touch, self._tick(bid + ask), self.as_of_ms)

    # The estimators hear of every new touch; an empty or crossed one tells them nothing.
    def _look_at_touch(self) -> None:
        bids, asks = self.bids, self.asks
        bid, ask = bids.best(), asks.best()
        if bid is None or ask is None or bid >= ask:
            if bid is not None and ask is not None:
                self.crossed_since_ms = self.crossed_since_ms or self.venue_ms
            else:
                self.crossed_since_ms = 0
            self._touch = (0, 0, 0, 0)
            self._refresh_sibling()
            return
        self.crossed_since_ms = 0
        touch = (bid, bids.at(bid), ask, asks.at(ask))
        if touch != self._touch:
            if touch[0] != self._touch[0] or touch[2] != self._touch[2]:
                self._refresh_sibling()
            self._touch = touch
            self.features.on_touch(touch, self._tick(bid + ask), self.venue_ms)

    @staticmethod
    def _is_beyond(side: Side, price_e4: int, best: int) -> bool:
        return price_e4 > best if side is Side.BID else price_e4 < best

    def _refresh_sibling(self) -> None:
        self.sibling = SiblingV1(market=self.status.market, bid_e4=self.bids.best(), ask_e4=self.asks.best())

    def _tick(self, twice_mid: int) -> int:
        tick = self._ticks.get(twice_mid)
        if tick is None:
            tick = self._ticks[twice_mid] = self._grid.tick_at(twice_mid / 2)
        return tick

"""The middle of each book over the last while, by exchange time, doubled so that half ticks stay exact."""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from libs.common.messages.market import MarketState, TopV1

_CHANGES_MAX: Final = 2_000
"""Kept for each market; the oldest go first."""


@dataclass(slots=True)
class _Past:
    times_ms: deque[int] = field(default_factory=deque)
    mids_2e4: deque[int] = field(default_factory=deque)
    known_until_ms: int = 0


@dataclass(slots=True)
class Mids:
    """Middles of all markets; ``keep_ms`` is how far back anybody asks."""

    keep_ms: int
    _pasts: dict[str, _Past] = field(default_factory=dict)

    def on_top(self, top: TopV1) -> None:
        """Take a touch; one that is stale, closed, or lacks a side says nothing of the middle."""
        if top.is_stale or top.state is not MarketState.ACTIVE:
            return
        past = self._pasts.setdefault(top.market, _Past())
        past.known_until_ms = max(past.known_until_ms, top.as_of_ms)
        if top.bid_e4 is None or top.ask_e4 is None:
            return
        mid_2e4 = top.bid_e4 + top.ask_e4
        if past.times_ms and (past.times_ms[-1] > top.venue_ms or past.mids_2e4[-1] == mid_2e4):
            return
        past.times_ms.append(top.venue_ms)
        past.mids_2e4.append(mid_2e4)
        # The newest one before the horizon still says what the middle was there.
        while len(past.times_ms) > 1 and (
            past.times_ms[1] < past.known_until_ms - self.keep_ms or len(past.times_ms) > _CHANGES_MAX
        ):
            past.times_ms.popleft()
            past.mids_2e4.popleft()

    def before(self, market: str, venue_ms: int) -> int | None:
        """Return twice the last middle from before this exchange time, None if none is known."""
        past = self._pasts.get(market)
        if past is None:
            return None
        at = bisect.bisect_left(past.times_ms, venue_ms)
        return past.mids_2e4[at - 1] if at else None

    def knows(self, market: str, venue_ms: int) -> bool:
        """Return whether the book is known up to this exchange time."""
        past = self._pasts.get(market)
        return past is not None and past.known_until_ms >= venue_ms

"""Play recorded markets into the venue, all from one common start.

Every tape begins at its own first event; from there on they share one clock
(`pacing.py`), and what comes next is the earliest event of any of them. After
the last event of a market come its close, its determination with the recorded
result, and its settlement. Where the clock gave way to a slow machine, close
times move with it, announced as on the venue; nothing is left out.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from libs.common.domain.side import Side
from libs.common.messages.market import MarketState
from services.simexchange.core.pacing import MS, TapeClock
from services.simexchange.core.queue_model import QueueModel
from services.simexchange.core.tape import TapeDelta, TapeEvent, TapeSnapshot, TapeTrade
from services.simexchange.core.tape_book import TapeBook
from services.simexchange.core.tape_market import TapeMarket
from services.simexchange.core.venue import Venue

CLOSE_GRACE_NS: Final = 50 * MS
"""A market closes this long after its tape's close, so that the last events meet an open market."""
DRIFT_NS_MAX: Final = 1_000 * MS
DRIFT_NS_AT_CLOSE: Final = 20 * MS
CLOSE_IS_NEAR_NS: Final = 2_000 * MS
DETERMINATION_NS_MAX: Final = 1_000 * MS


@dataclass(slots=True)
class _Playing:
    """One tape on its way; offsets count recorded milliseconds from its first event."""

    market: TapeMarket
    book: TapeBook
    events: Iterator[TapeEvent]
    head: TapeEvent | None
    origin_ms: int
    close_offset_ms: int
    close_ns: int = 0
    is_over: bool = False


class TapeSource:
    """See the module. ``next_ns`` tells when ``play_next`` wants to be called."""

    def __init__(
        self,
        venue: Venue,
        tapes: Iterable[tuple[TapeMarket, Iterator[TapeEvent]]],
        *,
        speed: float,
        start_ns: int,
        model: QueueModel = QueueModel.PESSIMISTIC,
    ) -> None:
        self._venue = venue
        self.clock = TapeClock(speed, start_ns)
        self._tapes: list[_Playing] = []
        self._heap: list[tuple[int, int]] = []
        self.events_played = 0
        for market, events in tapes:
            self._list(market, events, TapeBook(model))

    def _list(self, market: TapeMarket, events: Iterator[TapeEvent], book: TapeBook) -> None:
        """List the market, open from the start, with the book of its first snapshot."""
        first = next(events, None)
        if first is None:
            return
        playing = _Playing(
            market, book, events, first, first.tape_ms, max(1, market.close_ms - first.tape_ms)
        )
        start_ns = self.clock.start_ns
        playing.close_ns = self._close_ns(playing)
        venue = self._venue
        if market.series.series not in venue.floor.series:
            venue.add_series(market.series)
        if market.event.event not in venue.floor.events:
            venue.add_event(market.event, start_ns)
        venue.add_market(market.spec(start_ns, playing.close_ns), book, start_ns)
        self._tapes.append(playing)
        heapq.heappush(self._heap, (0, len(self._tapes) - 1))

    # Playing ---------------------------------------------------------------------------------------

    def next_ns(self) -> int | None:
        """Return when the next event is due, or None after the last."""
        return self.clock.due_ns(self._heap[0][0]) if self._heap else None

    def play_next(self, now_ns: int) -> None:
        """Play the next event, whether late or not."""
        offset_ms, index = self._heap[0]
        playing = self._tapes[index]
        self.clock.play(offset_ms, now_ns)
        if playing.head is None:
            heapq.heappop(self._heap)
            self._determine(playing, now_ns)
            return
        self._apply(playing, playing.head, now_ns)
        self.events_played += 1
        playing.head = following = next(playing.events, None)
        if following is None or following.tape_ms >= playing.market.close_ms:
            # The recorder went on for a moment after the close; there is no book any more to play it on.
            playing.head = None
            after_ns = min(
                int((playing.market.determined_ms - playing.market.close_ms) * MS / self.clock.speed),
                DETERMINATION_NS_MAX,
            )
            after_ms = (after_ns + 2 * CLOSE_GRACE_NS) * self.clock.speed / MS
            heapq.heapreplace(self._heap, (playing.close_offset_ms + int(after_ms), index))
        else:
            heapq.heapreplace(self._heap, (following.tape_ms - playing.origin_ms, index))

    def keep_schedule(self, now_ns: int) -> None:
        """Move the closes of markets whose tape fell behind; call before the venue's time moves on."""
        if not self._heap:
            return
        lag_ns = max(0, now_ns - self.clock.due_ns(self._heap[0][0]))
        for playing in self._tapes:
            has_closed = playing.head is None and playing.close_ns <= now_ns
            if playing.is_over or has_closed:
                continue
            wanted_ns = self._close_ns(playing) + lag_ns
            drift_ns = wanted_ns - playing.close_ns
            is_near = playing.close_ns - now_ns < CLOSE_IS_NEAR_NS
            if drift_ns > DRIFT_NS_MAX or (is_near and drift_ns > DRIFT_NS_AT_CLOSE):
                playing.close_ns = wanted_ns
                self._venue.set_close(playing.market.market, wanted_ns, now_ns)

    def _close_ns(self, playing: _Playing) -> int:
        return self.clock.due_ns(playing.close_offset_ms) + CLOSE_GRACE_NS

    def _apply(self, playing: _Playing, event: TapeEvent, now_ns: int) -> None:
        market = playing.market.market
        if type(event) is TapeDelta:
            change = (event.side, event.price_e4, event.change_e2)
            self._venue.apply_levels(market, (change,), now_ns)
        elif type(event) is TapeTrade:
            self._venue.apply_trade(market, event.taker_side, event.price_e4, event.qty_e2, now_ns)
        elif type(event) is TapeSnapshot:
            self._rebase(playing, event, now_ns)

    def _rebase(self, playing: _Playing, snapshot: TapeSnapshot, now_ns: int) -> None:
        """Set the book at the start; later on change it to what the recorder saw, as deltas of one action."""
        market = playing.market.market
        if not playing.book.recorded(Side.BID) and not playing.book.recorded(Side.ASK):
            self._venue.reset_book(market, snapshot.bids, snapshot.asks, now_ns)
            return
        changes = playing.book.difference(snapshot.bids, snapshot.asks)
        if changes:
            self._venue.apply_levels(market, changes, now_ns)

    def _determine(self, playing: _Playing, now_ns: int) -> None:
        """Tell the result; the close has passed, unless the machine stood still just now."""
        playing.is_over = True
        name = playing.market.market
        if playing.close_ns > now_ns:
            self._venue.set_close(name, now_ns, now_ns)
        self._venue.set_result(name, playing.market.result, now_ns, value_e4=playing.market.value_e4)

    # Telling ---------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Return whether every market was determined."""
        return not self._heap

    def progress(self, now_ns: int) -> Mapping[str, object]:
        """Return position, speed and counts, for operators and tests."""
        names = {p.market.market for p in self._tapes}
        states = [m.state for name, m in self._venue.markets.items() if name in names]
        return {
            "kind": "tape",
            "tape_ms": self.clock.played_ms,
            "events_played": self.events_played,
            "speed": self.clock.speed,
            "effective_speed": round(self.clock.effective_speed(now_ns), 3),
            "slipped_ms": self.clock.slip_ns // MS,
            "markets": len(self._tapes),
            "open": sum(s in {MarketState.ACTIVE, MarketState.INACTIVE} for s in states),
            "closed": sum(s in {MarketState.CLOSED, MarketState.DETERMINED} for s in states),
            "settled": sum(s is MarketState.FINALIZED for s in states),
            "is_over": self.is_over and all(s is MarketState.FINALIZED for s in states),
        }

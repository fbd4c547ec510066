"""Measure marketdata: frames of the densest tape through session and core on one thread.

Counts the work that a live process does apart from its socket: parsing,
sequence check, ladder, features, conflation and the encoding of each message
that leaves. `python -m bench.marketdata` prints it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.tape_frames import TapeFrames, load, tape_path
from libs.common.domain.grid import grid_of_steps
from libs.common.kalshi.model import VenueEvent, VenueMarket, VenueSeries
from libs.common.kalshi.session import FeedSession
from libs.common.messages.base import encode
from libs.common.messages.market import BookV1, MarketState
from services.marketdata.core.feed_core import FeedCore, FeedRules

SLOT_MS = 10
"""Frames of one such slot of the tape's clock are handed over together, then what is due is published."""


@dataclass(frozen=True, slots=True)
class MarketdataFigures:
    """One pass over the tape."""

    deltas: int
    seconds: float
    books: int

    @property
    def deltas_per_s(self) -> float:
        """Return deltas applied and conflated a second of one core."""
        return self.deltas / self.seconds


def core_for(market: str, start_ms: int) -> FeedCore:
    """Return a core that follows one open market for the length of a tape."""
    core = FeedCore(FeedRules(), "bench")
    core.put_market(
        VenueMarket(
            market=market,
            event=market.rsplit("-", 1)[0],
            shard=0,
            state=MarketState.ACTIVE,
            title="bench",
            grid=grid_of_steps((0, 10_000, 100)).bands,
            open_ms=start_ms - 1,
            close_ms=start_ms + 3_600_000,
            can_close_early=True,
        ),
        VenueEvent(
            event=market.rsplit("-", 1)[0],
            series="BENCH",
            title="bench",
            shard=0,
            is_mutually_exclusive=False,
        ),
        VenueSeries(series="BENCH", title="bench", fee_type="quadratic", fee_multiplier_e4=10_000),
        start_ms * 1_000_000,
    )
    return core


def run(tape: TapeFrames) -> MarketdataFigures:
    """Play the tape as fast as one thread can, on the tape's own clock."""
    session = FeedSession(["orderbook_delta", "trade"])
    session.open([tape.market])
    core = core_for(tape.market, tape.stamps_ms[0])
    books = 0
    began = time.perf_counter()
    frames, stamps = tape.frames, tape.stamps_ms
    start = 0
    while start < len(frames):
        slot, end = stamps[start] // SLOT_MS, start + 1
        while end < len(frames) and stamps[end] // SLOT_MS == slot:
            end += 1
        mono_ns = stamps[end - 1] * 1_000_000
        events = [event for frame in frames[start:end] for event in session.receive(frame, mono_ns)]
        start = end
        core.on_events(events, mono_ns, mono_ns)
        for outgoing in core.poll(mono_ns, mono_ns):
            encode(outgoing.message)
            books += type(outgoing.message) is BookV1
    seconds = time.perf_counter() - began
    assert not session.faults, session.faults
    return MarketdataFigures(tape.deltas, seconds, books)


def main() -> None:
    """Print deltas a second, or why they were not measured."""
    path = tape_path()
    if path is None:
        print("marketdata: not measured, the recorded tapes are absent")
        return
    tape = load(path)
    figures = max((run(tape) for _ in range(3)), key=lambda one: one.deltas_per_s)
    print(
        f"marketdata: {figures.deltas_per_s:,.0f} deltas/s, "
        f"{figures.books:,} books of {figures.deltas:,} deltas"
    )


if __name__ == "__main__":
    main()

"""Measure strategy: the Dora maker's full pipeline over the books of the densest tape, one thread.

Each decision is made from a decoded book message and encoded again, as the
live service does. `python -m bench.strategy` prints it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.marketdata import SLOT_MS, core_for
from bench.tape_frames import TapeFrames, load, tape_path
from libs.common.domain.side import Side
from libs.common.kalshi.session import FeedSession
from libs.common.messages.base import WireDecoder, encode
from libs.common.messages.execution import PositionV1, RestingV1
from libs.common.messages.market import BookV1
from services.strategy.core.pipeline import decide
from services.strategy.core.plans import Plans

MAKER_SETTINGS = {
    "enabled": True,
    "size_e2": 1_000,
    "inventory_e2_max": 20_000,
    "life_ms": 3_000,
}


@dataclass(frozen=True, slots=True)
class StrategyFigures:
    """One pass over the books."""

    decisions: int
    quoted_sides: int
    seconds: float

    @property
    def decisions_per_s(self) -> float:
        """Return decisions a second of one core, decoding and encoding included."""
        return self.decisions / self.seconds


def books_of(tape: TapeFrames, most: int) -> list[bytes]:
    """Return the first book messages that marketdata would publish for the tape."""
    session = FeedSession(["orderbook_delta", "trade"])
    session.open([tape.market])
    core = core_for(tape.market, tape.stamps_ms[0])
    books: list[bytes] = []
    for index, frame in enumerate(tape.frames):
        mono_ns = tape.stamps_ms[index] * 1_000_000
        core.on_events(session.receive(frame, mono_ns), mono_ns, mono_ns)
        is_last_of_slot = (
            index + 1 == len(tape.frames)
            or tape.stamps_ms[index + 1] // SLOT_MS != tape.stamps_ms[index] // SLOT_MS
        )
        if is_last_of_slot:
            books += [
                encode(out.message) for out in core.poll(mono_ns, mono_ns) if isinstance(out.message, BookV1)
            ]
            if len(books) >= most:
                break
    return books


def position_for(market: str) -> PositionV1:
    """Return a position with something held and something resting, so that no stage is idle."""
    return PositionV1(
        account="bench",
        market=market,
        epoch=1,
        sequence=1,
        qty_e2=2_000,
        cost_e6=10_000_000,
        realised_e6=0,
        fees_e6=0,
        resting=(RestingV1(side=Side.BID, price_e4=4_000, qty_e2=1_000),),
        has_unknown=False,
    )


def run(books: list[bytes], market: str) -> StrategyFigures:
    """Decide on every book once."""
    plan = Plans("dora-maker", {"default": MAKER_SETTINGS}, trading_enabled=True, reduce_only=False).of(
        market
    )
    position = position_for(market)
    decoder = WireDecoder(BookV1)
    quoted = 0
    began = time.perf_counter()
    for data in books:
        target = decide(decoder.decode(data), position, plan)
        encode(target)
        quoted += len(target.quotes)
    return StrategyFigures(len(books), quoted, time.perf_counter() - began)


def main() -> None:
    """Print decisions a second, or why they were not measured."""
    path = tape_path()
    if path is None:
        print("strategy: not measured, the recorded tapes are absent")
        return
    tape = load(path)
    books = books_of(tape, 20_000)
    figures = max((run(books, tape.market) for _ in range(3)), key=lambda one: one.decisions_per_s)
    print(
        f"strategy: {figures.decisions_per_s:,.0f} decisions/s over {figures.decisions:,} books, "
        f"{figures.quoted_sides:,} sides quoted"
    )


if __name__ == "__main__":
    main()

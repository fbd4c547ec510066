"""Measure replay: the densest tape through every core on one thread, see `replay_world.py`.

`python -m bench.replay` prints events a second of that one thread.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.replay_world import ReplayWorld, Tally
from bench.tape_frames import DENSEST, shared_dir, tape_path
from services.simexchange.shell.tape_files import find_tapes

_START_NS = 1_800_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class ReplayFigures:
    """One replay."""

    tally: Tally
    seconds: float

    @property
    def events_per_s(self) -> float:
        """Return recorded events a second of one thread."""
        return self.tally.events / self.seconds


def run() -> ReplayFigures:
    """Replay the densest tape once; reading it from disk is not counted."""
    folder = shared_dir() / "data" / "kalshi-gold15m" / "events" / DENSEST
    (tape,) = find_tapes(folder)
    events = list(tape.events())
    world = ReplayWorld(tape.market, iter(events), _START_NS)
    began = time.perf_counter()
    tally = world.run()
    return ReplayFigures(tally, time.perf_counter() - began)


def main() -> None:
    """Print the figure, or why it was not measured."""
    if tape_path() is None:
        print("replay: not measured, the recorded tapes are absent")
        return
    figures = run()
    tally = figures.tally
    print(
        f"replay: {figures.events_per_s:,.0f} events/s ({tally.events:,} events, "
        f"{tally.decisions:,} decisions, {tally.requests:,} requests, {tally.fills:,} fills)"
    )


if __name__ == "__main__":
    main()

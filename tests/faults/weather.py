"""How long things take on their way: the seed's part of a run."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Self

_US: Final = 1_000


@dataclass(frozen=True, slots=True)
class Weather:
    """Travelling times in nanoseconds; the same for every message of a run, so that nothing overtakes.

    Attributes:
        bus_ns: To the broker, and back.
        out_ns: A request to the venue.
        back_ns: Its answer.
        feed_ns: A message of the private feed: before or after the answer to what caused it.
    """

    bus_ns: int = 300 * _US
    out_ns: int = 1_500 * _US
    back_ns: int = 2_500 * _US
    feed_ns: int = 1_800 * _US

    @classmethod
    def of(cls, seed: int) -> Self:
        """Return the weather of a seed; the first has a fair one."""
        if seed == 1:
            return cls()
        chance = random.Random(seed)
        return cls(
            chance.randrange(100, 1_500) * _US,
            chance.randrange(300, 6_000) * _US,
            chance.randrange(300, 6_000) * _US,
            chance.randrange(100, 12_000) * _US,
        )

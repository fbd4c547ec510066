"""The prices a market allows, and how an estimate becomes one of them.

A grid is a list of bands, each with its own step; edges belong to both of
their bands and lie on both steps (kalshi-api 3.3). Steps run from 0.0001 to
0.01 dollar and can change while the market is open, so a grid is a value that
comes with every book and is never remembered by name.

Rounding is outward: a bid goes down to a tick and an ask goes up, so rounding
never gives away what the model asked for.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

from libs.common.domain.units import DOLLAR_E4, PriceE4
from libs.common.messages.market import BandV1

PRICE_E4_MIN = 1
PRICE_E4_MAX = DOLLAR_E4 - 1


class MalformedGrid(ValueError):  # noqa: N818 - named for what was found
    """Bands that leave gaps, overlap, or have a step that does not divide them."""


@dataclass(frozen=True, slots=True)
class PriceGrid:
    """The valid prices of one market; build with :meth:`of`, which checks and caches.

    Attributes:
        bands: In ascending order, touching one another; ten-thousandths of a dollar.
    """

    bands: tuple[BandV1, ...]

    @staticmethod
    def of(bands: tuple[BandV1, ...]) -> PriceGrid:
        """Return the checked grid of these bands; equal bands give the same object.

        Raises:
            MalformedGrid: No bands, a gap, an overlap, or an edge that is off the step.
        """
        return _checked(bands)

    def is_on_grid(self, price_e4: int) -> bool:
        """Return whether an order may have this price: on a step, above 0, below one dollar."""
        if not PRICE_E4_MIN <= price_e4 <= PRICE_E4_MAX:
            return False
        return any(
            band.start_e4 <= price_e4 <= band.end_e4 and (price_e4 - band.start_e4) % band.step_e4 == 0
            for band in self.bands
        )

    def floor_to_tick(self, price_e4: float) -> PriceE4 | None:
        """Return the highest valid price at or below, or None if there is none (outward for a bid)."""
        whole = math.floor(min(price_e4, float(DOLLAR_E4)))
        for band in reversed(self.bands):
            if whole < band.start_e4:
                continue
            top = min(whole, band.end_e4)
            tick = top - (top - band.start_e4) % band.step_e4
            if tick > PRICE_E4_MAX:
                tick -= band.step_e4
            if tick >= max(PRICE_E4_MIN, band.start_e4):
                return PriceE4(tick)
        return None

    def ceil_to_tick(self, price_e4: float) -> PriceE4 | None:
        """Return the lowest valid price at or above, or None if there is none (outward for an ask)."""
        whole = math.ceil(max(price_e4, 0.0))
        for band in self.bands:
            if whole > band.end_e4:
                continue
            low = max(whole, band.start_e4)
            tick = low + (band.start_e4 - low) % band.step_e4
            if tick < PRICE_E4_MIN:
                tick += band.step_e4
            if tick <= min(PRICE_E4_MAX, band.end_e4):
                return PriceE4(tick)
        return None

    def tick_at(self, price_e4: float) -> int:
        """Return the finest step that holds at this price, in ten-thousandths of a dollar.

        Outside the bands it is the nearest band's step, so that a width in
        ticks is always defined.
        """
        steps = [band.step_e4 for band in self.bands if band.start_e4 <= price_e4 <= band.end_e4]
        if steps:
            return min(steps)
        return self.bands[0].step_e4 if price_e4 < self.bands[0].start_e4 else self.bands[-1].step_e4

    def next_up(self, price_e4: int) -> PriceE4 | None:
        """Return the lowest valid price above, or None."""
        return self.ceil_to_tick(price_e4 + 1)

    def next_down(self, price_e4: int) -> PriceE4 | None:
        """Return the highest valid price below, or None."""
        return self.floor_to_tick(price_e4 - 1)


@lru_cache(maxsize=1024)
def _checked(bands: tuple[BandV1, ...]) -> PriceGrid:
    if not bands:
        raise MalformedGrid("at least one band, was none")
    for band in bands:
        if not (0 <= band.start_e4 < band.end_e4 <= DOLLAR_E4 and band.step_e4 > 0):
            raise MalformedGrid(f"band within 0 to 10_000 with a positive step, was {band}")
        if (band.end_e4 - band.start_e4) % band.step_e4:
            raise MalformedGrid(f"band whose step divides it, was {band}")
    for lower, upper in itertools.pairwise(bands):
        if lower.end_e4 != upper.start_e4:
            raise MalformedGrid(f"bands that touch, were {lower} and {upper}")
    return PriceGrid(bands)


def grid_of_steps(*bands: tuple[int, int, int]) -> PriceGrid:
    """Return the grid of ``(start, end, step)`` triples in ten-thousandths of a dollar."""
    return PriceGrid.of(tuple(BandV1(start_e4=a, end_e4=b, step_e4=c) for a, b, c in bands))

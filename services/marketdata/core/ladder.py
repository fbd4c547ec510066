"""The levels of one side of one market: price to displayed quantity, always sorted.

The venue sends signed changes, so a ladder is only as good as its whole
history: a change that would make a level negative proves that something was
missed, and the book must be thrown away (`BookCorrupt`). Prices are kept in
one ascending list beside the quantities, so that a change inside existing
levels costs one dictionary write and a best-first view costs one slice.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4
from libs.common.messages.market import LevelV1
from libs.common.runtime.errors import BookCorrupt


class Ladder:
    """One side of a book; the best bid is the highest price, the best ask the lowest."""

    __slots__ = ("_is_bid", "_prices", "_quantities", "total_e2")

    def __init__(self, side: Side) -> None:
        self._is_bid = side is Side.BID
        self._prices: list[int] = []
        self._quantities: dict[int, int] = {}
        self.total_e2 = 0
        """Sum of all levels."""

    def __len__(self) -> int:
        return len(self._prices)

    def replace(self, levels: Iterable[LevelV1]) -> None:
        """Take a snapshot's levels in any order; empty levels are left out.

        Raises:
            BookCorrupt: A price outside the dollar, a repeated price, or a negative quantity.
        """
        quantities: dict[int, int] = {}
        for price_e4, qty_e2 in levels:
            if not 0 < price_e4 < DOLLAR_E4 or qty_e2 < 0 or price_e4 in quantities:
                raise BookCorrupt(f"level within the dollar, once, not negative; was {qty_e2} at {price_e4}")
            if qty_e2:
                quantities[price_e4] = qty_e2
        self._quantities = quantities
        self._prices = sorted(quantities)
        self.total_e2 = sum(quantities.values())

    def clear(self) -> None:
        """Forget every level."""
        self._quantities = {}
        self._prices = []
        self.total_e2 = 0

    def apply(self, price_e4: int, change_e2: int) -> int:
        """Add a signed change to one level and return what rests there now.

        Raises:
            BookCorrupt: The level would be negative, or the price is outside the
                dollar; nothing was changed.
        """
        quantities = self._quantities
        before_e2 = quantities.get(price_e4, 0)
        after_e2 = before_e2 + change_e2
        if after_e2 > 0:
            if before_e2 == 0:
                if not 0 < price_e4 < DOLLAR_E4:
                    raise BookCorrupt(f"price within the dollar, was {price_e4}")
                insort(self._prices, price_e4)
            quantities[price_e4] = after_e2
        elif after_e2 < 0:
            raise BookCorrupt(f"change of at least -{before_e2} at {price_e4}, was {change_e2}")
        elif before_e2:
            del quantities[price_e4]
            prices = self._prices
            del prices[bisect_left(prices, price_e4)]
        self.total_e2 += change_e2
        return after_e2

    def best(self) -> int | None:
        """Return the best price, or None on an empty side."""
        if not self._prices:
            return None
        return self._prices[-1] if self._is_bid else self._prices[0]

    def at(self, price_e4: int) -> int:
        """Return what rests at the price; 0 if nothing."""
        return self._quantities.get(price_e4, 0)

    def is_within(self, price_e4: int, depth: int) -> bool:
        """Return whether the price is, or just was, among the best ``depth`` levels."""
        prices = self._prices
        if len(prices) <= depth:
            return True
        return price_e4 >= prices[-depth] if self._is_bid else price_e4 <= prices[depth - 1]

    def top(self, depth: int) -> tuple[LevelV1, ...]:
        """Return the best ``depth`` levels, best first."""
        quantities = self._quantities
        prices = self._prices[: -depth - 1 : -1] if self._is_bid else self._prices[:depth]
        return tuple([(price, quantities[price]) for price in prices])

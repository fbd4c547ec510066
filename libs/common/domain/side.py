"""The two sides of the one YES book of a market.

A bid buys YES (or closes NO); an ask sells YES (or opens NO). Prices are YES
prices on both sides, always (requirements A-054 to A-056).
"""

from __future__ import annotations

import enum


class Side(enum.StrEnum):
    """``bid`` or ``ask``, the words of the venue's order endpoint."""

    BID = "bid"
    ASK = "ask"

    @property
    def sign(self) -> int:
        """Return +1 for bid and -1 for ask: the change a fill makes to the position."""
        return 1 if self is Side.BID else -1

    @property
    def opposite(self) -> Side:
        """Return the other side."""
        return Side.ASK if self is Side.BID else Side.BID

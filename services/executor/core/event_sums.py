"""What the markets of one event amount to together, kept up market by market.

Sums change by the difference. The worst swing (`EventLoss`) is a maximum, which can
not be subtracted from: the two largest are remembered, and looked for again only when
one of those falls.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from libs.common.risk.exposure import EventLoss


class MarketSums(msgspec.Struct, frozen=True):
    """One market as its event and the account count it.

    Attributes:
        is_exclusive: Whether at most one market of its event ends at YES, None while unknown.
        losses_e6: What it loses if YES and if NO settles, everything open at its worst.
        contracts_e2: The largest position that it may come to.
        orders: How many orders are open in it.
        shard: Where its collateral is, None while unknown.
        reserve_e6: Cash that its orders hold back.
        cash_e6: What its fills and settlements brought in all.
    """

    event: str = ""
    is_exclusive: bool | None = None
    losses_e6: tuple[int, int] = (0, 0)
    contracts_e2: int = 0
    orders: int = 0
    shard: int | None = None
    reserve_e6: int = 0
    cash_e6: int = 0

    @property
    def swing_e6(self) -> int:
        """Return how much more it loses at YES than at NO."""
        return self.losses_e6[0] - self.losses_e6[1]


NOTHING = MarketSums()


@dataclass(slots=True)
class EventSums:
    """The markets of one event that we are or were in."""

    contracts_e2: int = 0
    _markets: dict[str, MarketSums] = field(default_factory=dict)
    _no_e6: int = 0
    _worst_e6: int = 0
    _shared: int = 0
    _first: tuple[str, int] = ("", 0)
    _second_e6: int = 0

    def put(self, market: str, sums: MarketSums) -> None:
        """Count a market anew."""
        self.remove(market)
        self._markets[market] = sums
        self._count(sums, 1)
        swing_e6 = sums.swing_e6
        if swing_e6 > self._first[1]:
            self._first, self._second_e6 = (market, swing_e6), self._first[1]
        elif swing_e6 > self._second_e6:
            self._second_e6 = swing_e6

    def remove(self, market: str) -> None:
        """Count a market no more."""
        was = self._markets.pop(market, None)
        if was is None:
            return
        self._count(was, -1)
        if was.swing_e6 > 0 and was.swing_e6 >= self._second_e6:
            self._look_again()

    def others(self, market: str, was: MarketSums) -> EventLoss:
        """Return the losses of all markets but one, which ``was`` counted so (`NOTHING` for a new one).

        Whether the event is exclusive is the word of those others alone.
        """
        if_yes, if_no = was.losses_e6
        swing_e6 = self._second_e6 if market == self._first[0] else self._first[1]
        shared = self._shared - (was is not NOTHING and not was.is_exclusive)
        return EventLoss(not shared, self._no_e6 - if_no, swing_e6, self._worst_e6 - max(if_yes, if_no))

    @property
    def worst_e6(self) -> int:
        """Return the event's worst-case loss over the states that can happen."""
        return EventLoss(not self._shared, self._no_e6, self._first[1], self._worst_e6).with_market_e6(0, 0)

    def _count(self, sums: MarketSums, sign: int) -> None:
        self.contracts_e2 += sign * sums.contracts_e2
        self._no_e6 += sign * sums.losses_e6[1]
        self._worst_e6 += sign * max(sums.losses_e6)
        # One whose flag is unknown or down, and all of them may lose together.
        self._shared += sign * (not sums.is_exclusive)

    def _look_again(self) -> None:
        self._first, self._second_e6 = ("", 0), 0
        for market, sums in self._markets.items():
            if sums.swing_e6 > self._first[1]:
                self._first, self._second_e6 = (market, sums.swing_e6), self._first[1]
            elif sums.swing_e6 > self._second_e6:
                self._second_e6 = sums.swing_e6

"""Worst-case loss of a market and of an event, exactly: linear payoffs leave few cases to look at.

One market has two. If YES settles, every fill of an ask loses and every fill of a
bid gains, so the worst case fills all asks and no bid; if NO settles it is the other
way round.

In an event whose outcomes exclude each other at most one market ends at YES, so the
sum of the markets' own worst cases would count losses that cannot happen together.
Its states are looked at one by one instead: each market the one that is YES, and
none of those that are known, because the winner may be a market nobody told us of.
Nothing here needs to know every market of the event: one that is missing holds
nothing of ours, and its victory is the last state. A settlement that splits the
dollar among the markets lies between the states and can not be worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4


class Open(msgspec.Struct, frozen=True, gc=False):
    """Quantity that may still fill at a price."""

    side: Side
    price_e4: int
    qty_e2: int


class Tally(msgspec.Struct, frozen=True, gc=False):
    """Everything that open orders amount to in one market.

    Attributes:
        if_yes_e6: Worst loss if YES settles, all asks filled; negative is a certain gain.
        if_no_e6: Worst loss if NO settles, all bids filled.
        bid_e2: Open on the bid side.
        ask_e2: Open on the ask side.
        contracts_e2: The largest position, of either sign, that it may come to.
        bid_max_e4: Dearest open bid, or None.
        ask_min_e4: Cheapest open ask, or None.
        reserve_e6: Cash that the orders hold back at the venue, at its dearest.
    """

    if_yes_e6: int
    if_no_e6: int
    bid_e2: int
    ask_e2: int
    contracts_e2: int
    bid_max_e4: int | None
    ask_min_e4: int | None
    reserve_e6: int


def tally(position_e2: int, cost_e6: int, opened: Sequence[Open]) -> Tally:
    """Return what the open orders amount to, in one look at each."""
    bid_e2 = ask_e2 = bids_e6 = asks_e6 = 0
    bid_max_e4 = ask_min_e4 = None
    for one in opened:
        if one.side is Side.BID:
            bid_e2 += one.qty_e2
            bids_e6 += one.price_e4 * one.qty_e2
            if bid_max_e4 is None or one.price_e4 > bid_max_e4:
                bid_max_e4 = one.price_e4
        else:
            ask_e2 += one.qty_e2
            asks_e6 += (DOLLAR_E4 - one.price_e4) * one.qty_e2
            if ask_min_e4 is None or one.price_e4 < ask_min_e4:
                ask_min_e4 = one.price_e4
    # A position is closed by the other side's orders, which then need no cash.
    is_closing = (position_e2 > 0 and ask_e2) or (position_e2 < 0 and bid_e2)
    return Tally(
        cost_e6 - max(position_e2, 0) * DOLLAR_E4 + asks_e6,
        cost_e6 - max(-position_e2, 0) * DOLLAR_E4 + bids_e6,
        bid_e2,
        ask_e2,
        max(position_e2 + bid_e2, ask_e2 - position_e2),
        bid_max_e4,
        ask_min_e4,
        reserve_e6(position_e2, opened) if is_closing else bids_e6 + asks_e6,
    )


def reserve_e6(position_e2: int, opened: Iterable[Open]) -> int:
    """Return the cash that open orders hold back at the venue, at its dearest.

    What closes a position needs none; which of several orders that is, the venue
    does not publish, so the cheapest are taken to close and the dearest to open.
    """
    held_e6 = 0
    closing_e2 = {Side.BID: max(0, -position_e2), Side.ASK: max(0, position_e2)}
    legs = [(o.price_e4 if o.side is Side.BID else DOLLAR_E4 - o.price_e4, o) for o in opened]
    for leg_e4, one in sorted(legs, key=lambda leg: leg[0]):
        closed_e2 = min(one.qty_e2, closing_e2[one.side])
        closing_e2[one.side] -= closed_e2
        held_e6 += leg_e4 * (one.qty_e2 - closed_e2)
    return held_e6


class EventLoss(msgspec.Struct, frozen=True, gc=False):
    """What some markets of one event lose together, ready to be asked about one more.

    Attributes:
        is_exclusive: At most one market of the event ends at YES, of every one of them known so.
        no_e6: Loss of these markets if all of them end at NO.
        swing_e6: Most that it grows by if one of them ends at YES instead; 0 if none makes it worse.
        worst_e6: Sum of each market's own worst case: what counts if they may all lose.
    """

    is_exclusive: bool = False
    no_e6: int = 0
    swing_e6: int = 0
    worst_e6: int = 0

    def with_market_e6(self, if_yes: int, if_no: int) -> int:
        """Return the worst loss of these markets and one more, at least 0."""
        if not self.is_exclusive:
            return max(0, self.worst_e6 + max(if_yes, if_no))
        return max(0, self.no_e6 + if_no + max(self.swing_e6, if_yes - if_no))

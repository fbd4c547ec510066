"""Worst-case loss of a market, exactly: linear payoffs leave two cases to look at.

If YES settles, every fill of an ask loses and every fill of a bid gains, so the
worst case fills all asks and no bid; if NO settles it is the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4


@dataclass(frozen=True, slots=True)
class Open:
    """Quantity that may still fill at a price."""

    side: Side
    price_e4: int
    qty_e2: int


def losses_e6(position_e2: int, cost_e6: int, opened: Iterable[Open]) -> tuple[int, int]:
    """Return the worst loss if YES settles and if NO settles; negative is a certain gain.

    Args:
        position_e2: Signed position, positive YES.
        cost_e6: What the open leg cost.
        opened: Everything that may still fill.
    """
    if_yes = cost_e6 - max(position_e2, 0) * DOLLAR_E4
    if_no = cost_e6 - max(-position_e2, 0) * DOLLAR_E4
    for one in opened:
        if one.side is Side.ASK:
            if_yes += (DOLLAR_E4 - one.price_e4) * one.qty_e2
        else:
            if_no += one.price_e4 * one.qty_e2
    return if_yes, if_no


def worst_loss_e6(position_e2: int, cost_e6: int, opened: Iterable[Open]) -> int:
    """Return the worst loss over both outcomes, at least 0."""
    return max(0, *losses_e6(position_e2, cost_e6, opened))

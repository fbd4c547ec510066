"""What may rest while a halt at level `REDUCE_ONLY` stands: what together can only shrink a position."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from libs.common.domain.side import Side
from libs.common.messages.target import QuoteV1


@dataclass(frozen=True, slots=True)
class Resting:
    """What `adding` needs of an order; quantity in hundredths of contracts, at its worst."""

    client_order_id: str
    side: Side
    open_e2: int


def adding(orders: Iterable[Resting], position_e2: int) -> set[str]:
    """Return the ids of those orders of one market that could make its position larger or turn it.

    Args:
        orders: Oldest first: the first ones have the first call on the position.
        position_e2: Signed, hundredths of contracts.
    """
    left_e2, shrinks = abs(position_e2), _shrinking_side(position_e2)
    found = set()
    for order in orders:
        if order.side is shrinks and order.open_e2 <= left_e2:
            left_e2 -= order.open_e2
        else:
            found.add(order.client_order_id)
    return found


def shrinking(quotes: Iterable[QuoteV1], position_e2: int) -> tuple[QuoteV1, ...]:
    """Return what of these quotes may stay: the side that shrinks the position, up to its size."""
    left_e2, side = abs(position_e2), _shrinking_side(position_e2)
    kept = []
    for quote in quotes:
        qty_e2 = min(quote.qty_e2, left_e2) if quote.side is side else 0
        if qty_e2:
            left_e2 -= qty_e2
            kept.append(msgspec.structs.replace(quote, qty_e2=qty_e2))
    return tuple(kept)


def _shrinking_side(position_e2: int) -> Side:
    return Side.ASK if position_e2 > 0 else Side.BID

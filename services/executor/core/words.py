"""An order in the words of the requirement rows (B-042 to B-050, C-034 to C-036).

Log lines are read by people and by tools that were written before Dora: prices as
dollars and sizes as contracts, both as the venue writes them, exactly. Integers
stay where machines of ours read: in the journal and in AUDIT.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.domain.units import format_price, format_qty


def order_words(market: str, side: Side, price_e4: int, qty_e2: int) -> dict[str, object]:
    """Return ``market``, ``side``, ``price`` (dollars) and ``size`` (contracts)."""
    return {
        "market": market,
        "side": side.value,
        "price": format_price(price_e4),
        "size": format_qty(qty_e2),
    }

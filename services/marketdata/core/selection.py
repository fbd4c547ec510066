"""Which markets are followed: named ones, whole series or events, and the busiest (E-007, E-055).

The answer is sorted and depends on nothing but the arguments. A market already
followed stays until it is settled: dropping a market because a livelier one
appeared would strand its orders.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from libs.common.kalshi.model import VenueMarket
from libs.common.messages.market import MarketState

_OVER = frozenset({MarketState.FINALIZED})


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to follow; all parts add up."""

    tickers: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    top_by_volume: int = 20
    """So many more of the open markets, busiest first; 0 for none."""
    volume_e2_min: int | None = None
    """Markets that traded less are not among the busiest. Unset: one hundredth of a
    contract, but 0 in `sim`, where every market begins without volume."""


def choose(
    markets: Iterable[tuple[VenueMarket, str]],
    selection: Selection,
    volume_e2_min: int,
    followed: Collection[str],
) -> tuple[str, ...]:
    """Return the markets to follow from now on, those followed already included.

    Args:
        markets: Each open market with its series.
        selection: The configuration.
        volume_e2_min: Resolved least volume for the busiest.
        followed: What is followed now.
    """
    chosen = set(followed)
    rest: list[VenueMarket] = []
    for market, series in markets:
        if market.state in _OVER:
            continue
        if (
            market.market in selection.tickers
            or market.event in selection.events
            or series in selection.series
        ):
            chosen.add(market.market)
        elif market.market not in chosen and market.volume_e2 >= volume_e2_min:
            rest.append(market)
    named = set(selection.tickers)
    places = selection.top_by_volume - sum(1 for market in followed if market not in named)
    rest.sort(key=lambda market: (-market.volume_e2, market.market))
    chosen.update(market.market for market in rest[: max(0, places)])
    return tuple(sorted(chosen))

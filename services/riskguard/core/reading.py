"""One reading of the venue, whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.kalshi.model import (
    VenueFill,
    VenueOrder,
    VenuePosition,
    VenueSettlement,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the venue said.

    Attributes:
        started_ns: Monotonic, before the first request.
        orders: Everything that rests.
        fills: From a while before the newest one known, or all.
        positions: Of unsettled markets.
        settlements: All.
    """

    started_ns: int
    orders: tuple[VenueOrder, ...]
    fills: tuple[VenueFill, ...]
    positions: tuple[VenuePosition, ...]
    settlements: tuple[VenueSettlement, ...]

"""The hard limits of an account: no field has a default, and zero means nothing may be sent."""

from __future__ import annotations

import msgspec


class RiskLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section ``[limits]`` of the executor's configuration.

    Quantities in hundredths of a contract (E2), money in millionths of a dollar
    (E6), prices in ten-thousandths (E4).
    """

    order_qty_e2_max: int
    order_notional_e6_max: int
    market_position_e2_max: int
    """Worst case: the position with everything open on one side filled."""
    event_exposure_e6_max: int
    account_exposure_e6_max: int
    price_collar_e4_max: int
    """How far above the reference a bid may be, and below it an ask."""
    orders_per_s_max: int
    orders_same_price_max: int
    """Open orders at one price of one side, the new one included; 1 refuses every duplicate."""

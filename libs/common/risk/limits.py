"""The hard limits of an account: no field has a default, and zero means nothing may be sent.

The configuration's values are the most that may ever be. How they are lowered and raised
again while Dora runs is in `libs/common/control/limits.py`.
"""

from __future__ import annotations

import msgspec


class RiskLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section ``[limits]`` of the executor's configuration.

    Quantities in hundredths of a contract (E2), money in millionths of a dollar
    (E6), prices and shares in ten-thousandths (E4). "Worst case" is with everything
    resting, in flight and unknown filled as badly as it can be.
    """

    order_qty_e2_max: int
    order_notional_e6_max: int
    market_position_e2_max: int
    """Worst case: the position with everything open on one side filled."""
    market_exposure_e6_max: int
    """Worst-case loss of one market."""
    market_orders_max: int
    """Open orders in one market, the new one included."""
    market_balance_share_e4_max: int
    """Worst-case loss of one market as a share of the account's cash (D-081: 500 is 5 %)."""
    event_contracts_e2_max: int
    """Sum over the event's markets of the largest position that each may come to."""
    event_exposure_e6_max: int
    account_contracts_e2_max: int
    account_exposure_e6_max: int
    account_orders_max: int
    price_collar_e4_max: int
    """How far above the reference a bid may be, and below it an ask."""
    reference_age_ms_max: int
    """Exchange time; a collar around an old price protects nobody."""
    balance_age_ms_max: int
    """Age by our own clock of the venue's balance, from the moment it was asked for."""
    orders_per_s_max: int
    notional_per_minute_e6_max: int
    """Cost of all creates and amends let through within 60 s."""
    orders_repeated_per_s_max: int
    """Orders of the same market, side, price and size within a second, the new one included."""
    orders_same_price_max: int
    """Open orders at one price of one side, the new one included; 1 refuses every duplicate."""

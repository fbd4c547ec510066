"""What trading may cost: required numbers, checked when the configuration is read."""

from __future__ import annotations

from typing import Annotated

import msgspec

from services.riskguard.core.conduct.limits import ConductLimits
from services.riskguard.core.health.limits import HealthLimits
from services.riskguard.core.money.limits import MoneyLimits
from services.riskguard.core.slow.limits import SlowLimits

NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No field has a default, and zero means zero.

    Attributes:
        trading_enabled: False keeps the permit closed whatever else holds (requirement A-023).
        daily_loss_e6: Halt when the day's result is at or below minus this (D-060).
        drawdown_e6: Halt when the day's result fell by this or more from its high-water mark (D-062).
        position_e2: Halt when a market's position is larger than this, either way.
        market_exposure_e6: Halt when the worst-case loss of one market is larger, resting orders included.
        event_exposure_e6: The same for one event, whose exclusive outcomes cannot all lose.
        account_exposure_e6: The same for everything.
        orders_per_minute: Halt when the venue shows us more new orders of ours within a minute.
        money: Round trips, balances, slippage, sums of positions.
        conduct: Rates, own trades, orders in doubt, errors.
        health: Heartbeats, builds, clocks, loops.
        slow: What ends or changes within days.
    """

    trading_enabled: bool
    daily_loss_e6: NotNegative
    drawdown_e6: NotNegative
    position_e2: NotNegative
    market_exposure_e6: NotNegative
    event_exposure_e6: NotNegative
    account_exposure_e6: NotNegative
    orders_per_minute: NotNegative
    money: MoneyLimits
    conduct: ConductLimits
    health: HealthLimits
    slow: SlowLimits

"""Limits of the riskguard for tests: wide unless a test narrows them."""

from __future__ import annotations

from typing import Final

import msgspec

from services.riskguard.core.conduct.limits import ConductLimits
from services.riskguard.core.health.limits import HealthLimits
from services.riskguard.core.limits import Limits
from services.riskguard.core.money.limits import MoneyLimits
from services.riskguard.core.slow.limits import SlowLimits

MONEY: Final = MoneyLimits(
    losses_max=50,
    losses_window=50,
    losses_within_ms=86_400_000,
    losses_min_e6=10**12,
    balance_drop_e6=10**12,
    shard_drop_e6=10**12,
    slippage_e4=10_000,
    slippage_fills=100,
    slippage_fills_min=10,
    slippage_within_ms=600_000,
    markout_e4=10_000,
    markout_after_ms=1_000,
    markout_fills=100,
    markout_fills_min=10,
    markout_within_ms=600_000,
    event_position_e2=10**9,
    series_position_e2=10**9,
    account_position_e2=10**9,
    series_exposure_e6=10**12,
)
CONDUCT: Final = ConductLimits(
    fills_per_minute=10**6,
    contracts_per_minute_e2=10**9,
    messages_per_minute=10**6,
    repeated_executions=10**6,
    repeated_window_ms=5_000,
    self_trades=10**6,
    orders_per_trade=10**6,
    orders_per_trade_min=10**6,
    unknown_age_ms=10**9,
    orphan_age_ms=10**9,
    api_errors_per_minute=10**6,
    api_error_share_e4=10_000,
    api_requests_min=10**6,
    rate_limited_per_minute=10**6,
)
HEALTH: Final = HealthLimits(
    service_silence_ms=10**9,
    clock_step_ms=10**9,
    clock_skew_ms=10**9,
    clock_skew_warn_ms=10**9,
    loop_lag_ms=10**9,
    exchange_silence_ms=10**9,
    boots_max=10**6,
    boots_window_ms=600_000,
    is_build_required=False,
)
SLOW: Final = SlowLimits(
    forbid_transfers=False,
    attestation_required=True,
    attestation_warn_days=0,
    attestation_stop_days=0,
    credential_warn_days=10**6,
    credential_days_max=10**6,
    tier_warn_days=0,
    tier_settle_ms=0,
    fee_warn_hours=0,
    fee_lead_ms=0,
    fee_settle_ms=0,
    grid_settle_ms=0,
    schedule_lead_ms=0,
    disk_warn_e4=10_000,
    disk_high_e4=10_000,
    disk_used_e4=10_000,
    disk_free_mb_min=0,
)
WIDE: Final = Limits(
    trading_enabled=True,
    daily_loss_e6=1_000_000_000,
    drawdown_e6=1_000_000_000,
    position_e2=100_000,
    market_exposure_e6=10**12,
    event_exposure_e6=10**12,
    account_exposure_e6=10**12,
    orders_per_minute=10_000,
    money=MONEY,
    conduct=CONDUCT,
    health=HEALTH,
    slow=SLOW,
)


def limits(**changes: object) -> Limits:
    """Return wide limits with these changed."""
    return msgspec.structs.replace(WIDE, **changes)


def health(**changes: object) -> Limits:
    """Return wide limits with these of the machinery changed."""
    return limits(health=msgspec.structs.replace(HEALTH, **changes))


def money(**changes: object) -> Limits:
    """Return wide limits with these of the money area changed."""
    return limits(money=msgspec.structs.replace(MONEY, **changes))


def slow(**changes: object) -> Limits:
    """Return wide limits with these of what changes within days changed."""
    return limits(slow=msgspec.structs.replace(SLOW, **changes))

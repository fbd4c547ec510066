"""Every control with the numbers it compares with: what `dora attest` shows beside tests and owners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from libs.common.control.limits import flat
from libs.common.messages.controls import ControlV1
from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired
from services.riskguard.core.triggers.registry import TRIGGERS

READS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "daily_loss_limit": ("daily_loss_e6",),
        "max_drawdown": ("drawdown_e6",),
        "position_limit": ("position_e2",),
        "market_exposure": ("market_exposure_e6",),
        "event_exposure": ("event_exposure_e6",),
        "account_exposure": ("account_exposure_e6",),
        "series_exposure": ("money.series_exposure_e6",),
        "event_position": ("money.event_position_e2",),
        "series_position": ("money.series_position_e2",),
        "account_position": ("money.account_position_e2",),
        "consecutive_losses": (
            "money.losses_max",
            "money.losses_window",
            "money.losses_within_ms",
            "money.losses_min_e6",
        ),
        "balance_drop": ("money.balance_drop_e6", "money.shard_drop_e6"),
        "slippage_spike": (
            "money.slippage_e4",
            "money.slippage_fills",
            "money.slippage_fills_min",
            "money.slippage_within_ms",
        ),
        "adverse_markout": (
            "money.markout_e4",
            "money.markout_after_ms",
            "money.markout_fills",
            "money.markout_fills_min",
            "money.markout_within_ms",
        ),
        "order_rate": ("orders_per_minute",),
        "fill_rate": ("conduct.fills_per_minute",),
        "contract_rate": ("conduct.contracts_per_minute_e2",),
        "message_rate": ("conduct.messages_per_minute",),
        "repeated_execution": ("conduct.repeated_executions", "conduct.repeated_window_ms"),
        "self_trade": ("conduct.self_trades",),
        "order_to_trade": ("conduct.orders_per_trade", "conduct.orders_per_trade_min"),
        "unknown_age": ("conduct.unknown_age_ms",),
        "orphan_age": ("conduct.orphan_age_ms",),
        "api_error_rate": (
            "conduct.api_errors_per_minute",
            "conduct.api_error_share_e4",
            "conduct.api_requests_min",
        ),
        "rate_limited": ("conduct.rate_limited_per_minute",),
        "stale_books": (),
        "executor_silence": (),
        "recon_permit": (),
        "service_silence": ("health.service_silence_ms",),
        "clock_step": ("health.clock_step_ms",),
        "clock_skew": ("health.clock_skew_ms", "health.clock_skew_warn_ms"),
        "loop_lag": ("health.loop_lag_ms",),
        "exchange_pause": ("health.exchange_silence_ms",),
        "restart_loop": ("health.boots_max", "health.boots_window_ms"),
        "build_mismatch": ("health.is_build_required",),
        "key_scope": ("slow.forbid_transfers",),
        "region_attestation": (
            "slow.attestation_required",
            "slow.attestation_stop_days",
            "slow.attestation_warn_days",
        ),
        "credential_age": ("slow.credential_days_max", "slow.credential_warn_days"),
        "tier_downgrade": ("slow.tier_settle_ms", "slow.tier_warn_days"),
        "fee_change": ("slow.fee_lead_ms", "slow.fee_settle_ms", "slow.fee_warn_hours"),
        "grid_change": ("slow.grid_settle_ms",),
        "scheduled_pause": ("slow.schedule_lead_ms",),
        "disk_usage": (
            "slow.disk_used_e4",
            "slow.disk_high_e4",
            "slow.disk_warn_e4",
            "slow.disk_free_mb_min",
        ),
    }
)
"""The limits that each trigger, or what gathers for it, compares with."""


def controls(limits: Limits, fired: Iterable[Fired]) -> tuple[ControlV1, ...]:
    """Return every trigger with its numbers of now."""
    values, red = flat(limits), {one.trigger for one in fired}
    return tuple(
        ControlV1(
            name=trigger.name,
            kind="latches" if trigger.is_latching else "pauses",
            text=trigger.text,
            limits={name: values[name] for name in READS[trigger.name]},
            is_red=trigger.name in red,
        )
        for trigger in TRIGGERS
    )

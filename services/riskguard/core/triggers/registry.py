"""Every trigger, one line each: a new one is one file and one line here."""

from __future__ import annotations

from typing import Final

from services.riskguard.core.triggers.account_position import account_position
from services.riskguard.core.triggers.adverse_markout import AdverseMarkout
from services.riskguard.core.triggers.api_error_rate import ApiErrorRate
from services.riskguard.core.triggers.balance_drop import BalanceDrop
from services.riskguard.core.triggers.base import Trigger
from services.riskguard.core.triggers.build_mismatch import BuildMismatch
from services.riskguard.core.triggers.clock_skew import ClockSkew
from services.riskguard.core.triggers.clock_step import ClockStep
from services.riskguard.core.triggers.consecutive_losses import ConsecutiveLosses
from services.riskguard.core.triggers.contract_rate import ContractRate
from services.riskguard.core.triggers.credential_age import CredentialAge
from services.riskguard.core.triggers.daily_loss import DailyLoss
from services.riskguard.core.triggers.disk_usage import DiskUsage
from services.riskguard.core.triggers.drawdown import Drawdown
from services.riskguard.core.triggers.event_position import event_position
from services.riskguard.core.triggers.exchange_pause import ExchangePause
from services.riskguard.core.triggers.executor_silence import ExecutorSilence
from services.riskguard.core.triggers.exposure_limit import account_exposure, event_exposure, market_exposure
from services.riskguard.core.triggers.fee_change import FeeChangeDue
from services.riskguard.core.triggers.fill_rate import FillRate
from services.riskguard.core.triggers.grid_change import GridChange
from services.riskguard.core.triggers.key_scope import KeyScope
from services.riskguard.core.triggers.loop_lag import LoopLag
from services.riskguard.core.triggers.message_rate import MessageRate
from services.riskguard.core.triggers.order_rate import OrderRate
from services.riskguard.core.triggers.order_to_trade import OrderToTrade
from services.riskguard.core.triggers.orphan_age import OrphanAge
from services.riskguard.core.triggers.position_limit import PositionLimit
from services.riskguard.core.triggers.rate_limited import RateLimited
from services.riskguard.core.triggers.recon_permit import ReconPermit
from services.riskguard.core.triggers.region_attestation import RegionAttestation
from services.riskguard.core.triggers.repeated_execution import RepeatedExecution
from services.riskguard.core.triggers.restart_loop import RestartLoop
from services.riskguard.core.triggers.scheduled_pause import ScheduledPause
from services.riskguard.core.triggers.self_trade import SelfTrade
from services.riskguard.core.triggers.series_exposure import series_exposure
from services.riskguard.core.triggers.series_position import series_position
from services.riskguard.core.triggers.service_silence import ServiceSilence
from services.riskguard.core.triggers.slippage_spike import SlippageSpike
from services.riskguard.core.triggers.stale_books import StaleBooks
from services.riskguard.core.triggers.tier_downgrade import TierDowngrade
from services.riskguard.core.triggers.unknown_age import UnknownAge

TRIGGERS: Final[tuple[Trigger, ...]] = (
    DailyLoss(),
    Drawdown(),
    PositionLimit(),
    market_exposure(),
    event_exposure(),
    account_exposure(),
    series_exposure(),
    event_position(),
    series_position(),
    account_position(),
    ConsecutiveLosses(),
    BalanceDrop(),
    SlippageSpike(),
    AdverseMarkout(),
    OrderRate(),
    FillRate(),
    ContractRate(),
    MessageRate(),
    RepeatedExecution(),
    SelfTrade(),
    OrderToTrade(),
    UnknownAge(),
    OrphanAge(),
    ApiErrorRate(),
    RateLimited(),
    StaleBooks(),
    ExecutorSilence(),
    ReconPermit(),
    ServiceSilence(),
    ClockStep(),
    ClockSkew(),
    LoopLag(),
    ExchangePause(),
    RestartLoop(),
    BuildMismatch(),
    KeyScope(),
    RegionAttestation(),
    CredentialAge(),
    TierDowngrade(),
    FeeChangeDue(),
    GridChange(),
    ScheduledPause(),
    DiskUsage(),
)

"""Every trigger, one line each: a new one is one file and one line here."""

from __future__ import annotations

from typing import Final

from services.riskguard.core.triggers.base import Trigger
from services.riskguard.core.triggers.daily_loss import DailyLoss
from services.riskguard.core.triggers.drawdown import Drawdown
from services.riskguard.core.triggers.executor_silence import ExecutorSilence
from services.riskguard.core.triggers.exposure_limit import account_exposure, event_exposure, market_exposure
from services.riskguard.core.triggers.order_rate import OrderRate
from services.riskguard.core.triggers.position_limit import PositionLimit
from services.riskguard.core.triggers.recon_permit import ReconPermit
from services.riskguard.core.triggers.stale_books import StaleBooks

TRIGGERS: Final[tuple[Trigger, ...]] = (
    DailyLoss(),
    Drawdown(),
    PositionLimit(),
    market_exposure(),
    event_exposure(),
    account_exposure(),
    OrderRate(),
    StaleBooks(),
    ExecutorSilence(),
    ReconPermit(),
)

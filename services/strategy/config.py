"""Configuration of strategy; a market's fields are in `core/settings.py` and `core/maker_settings.py`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from libs.common.runtime.config import Common
from libs.common.runtime.errors import ConfigError
from services.strategy.core.plans import Plans
from services.strategy.core.settings import BadSettings


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Static configuration; live entries of the ``cfg`` bucket go above it."""

    common: Common = Common()
    strategy: str = "dora-maker"
    """A name of the registry."""
    trading_enabled: bool = False
    """Nothing is quoted anywhere before this is true (A-023)."""
    reduce_only: bool = False
    replicas: Annotated[int, msgspec.Meta(ge=1)] = 1
    """How many processes share the queue group; with more than one every decision is published."""
    audit_ms: Annotated[int, msgspec.Meta(ge=10)] = 250
    """How often changed decisions are appended to the audit."""
    audit_waiting_max: Annotated[int, msgspec.Meta(ge=1)] = 2_000
    """Changed decisions that may wait for the audit; more are dropped and counted."""
    markets: dict[str, dict[str, Any]]
    """``default`` holds for every market, an entry by market id goes above it. Quantities have no default:
    ``markets.default`` must say ``size_e2`` and ``inventory_e2_max``, and zero means zero."""

    def __post_init__(self) -> None:
        try:
            self.plans()
        except BadSettings as e:  # before anything is connected
            raise ConfigError(str(e)) from None

    def plans(self) -> Plans:
        """Return the plans of this configuration."""
        return Plans(
            self.strategy, self.markets, trading_enabled=self.trading_enabled, reduce_only=self.reduce_only
        )

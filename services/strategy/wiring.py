"""Puts strategy together; the only place that names concrete parts."""

from __future__ import annotations

from libs.common.runtime.app import Runtime
from services.strategy.config import Config
from services.strategy.shell.service import StrategyApp


def wire(runtime: Runtime[Config]) -> StrategyApp:
    """Return the service."""
    return StrategyApp(runtime, runtime.config.plans())

"""``python -m services.riskguard``."""

from __future__ import annotations

from libs.common.runtime.runner import run_service
from services.riskguard.config import Config
from services.riskguard.wiring import wire

if __name__ == "__main__":
    run_service("riskguard", Config, wire)

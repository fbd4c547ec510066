"""``python -m services.strategy``."""

from __future__ import annotations

from libs.common.runtime.runner import run_service
from services.strategy.config import Config
from services.strategy.wiring import wire

if __name__ == "__main__":
    run_service("strategy", Config, wire)

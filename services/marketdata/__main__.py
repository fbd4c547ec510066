"""``python -m services.marketdata``."""

from __future__ import annotations

from libs.common.runtime.runner import run_service
from services.marketdata.config import Config
from services.marketdata.wiring import wire

if __name__ == "__main__":
    run_service("marketdata", Config, wire)

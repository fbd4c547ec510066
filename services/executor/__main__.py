"""``python -m services.executor``."""

from __future__ import annotations

from libs.common.runtime.runner import run_service
from services.executor.config import Config
from services.executor.wiring import wire

if __name__ == "__main__":
    run_service("executor", Config, wire)

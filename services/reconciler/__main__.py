"""``python -m services.reconciler``."""

from __future__ import annotations

from libs.common.runtime.runner import run_service
from services.reconciler.config import Config
from services.reconciler.wiring import wire

if __name__ == "__main__":
    run_service("reconciler", Config, wire)

"""The leading executor's heartbeat is gone: a pause until it, or its successor, is back."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class ExecutorSilence:
    """The leading executor's heartbeat is gone: a pause until it, or its successor, is back."""

    name: str = "executor_silence"
    text: str = "the executor is silent"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        del limits
        if view.executor_silence_ms <= view.executor_silence_ms_max:
            return None
        text = f"{self.text} for {view.executor_silence_ms} ms"
        return Fired(
            self.name, text, view.executor_silence_ms_max, view.executor_silence_ms, self.is_latching
        )

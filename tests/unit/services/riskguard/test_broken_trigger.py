"""A trigger that cannot be judged has not said that all is well."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from services.riskguard.core import judge
from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View
from services.riskguard.core.triggers.registry import TRIGGERS
from tests.support import guards
from tests.support.truth_builders import NOW_MS, S


@dataclass(frozen=True, slots=True)
class _Broken:
    name: str = "stale_books"
    text: str = "A pausing trigger with a mistake in it."
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        raise ZeroDivisionError(f"{view.orders_last_minute} of {limits.orders_per_minute}")


def test_trigger_that_fails_halts_under_its_name_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core = guards.running_guard()
    broken = tuple(_Broken() if one.name == "stale_books" else one for one in TRIGGERS)
    monkeypatch.setattr(judge, "TRIGGERS", broken)
    (halt,) = guards.halts(core.on_tick(1, NOW_MS))
    assert halt.halt.trigger == "stale_books"
    assert "cannot be judged: ZeroDivisionError" in halt.halt.reason
    is_open, reasons = core.permit(1)
    assert not is_open
    assert any("cannot be judged" in reason for reason in reasons)
    core.on_tick(60 * S, NOW_MS + 60_000)
    assert {"stale_books", "executor_silence"} <= guards.red(core)

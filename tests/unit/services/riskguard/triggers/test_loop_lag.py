"""Event-loop lag as heartbeats tell it."""

from __future__ import annotations

import pytest

from services.riskguard.core.health.view import HealthView
from services.riskguard.core.triggers.base import View
from tests.support.guards import beat, check, halts, red, running_guard, tick
from tests.support.riskguard_limits import health
from tests.support.truth_builders import MS, S

NAME = "loop_lag"
LIMITS = health(loop_lag_ms=250)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(health=HealthView(loop_lags_ms={"a/1": 250})), LIMITS) is None
    fired = check(NAME, View(health=HealthView(loop_lags_ms={"a/1": 251, "b/1": 3})), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (250, 251, False)
    assert "a/1" in fired.text


@pytest.mark.parametrize("service", ["marketdata", "strategy", "executor", "reconciler", "riskguard"])
def test_any_services_lag_pauses_for_two_seconds_ours_included(service: str) -> None:
    core = running_guard(LIMITS)
    core.on_beat(beat(service, loop_lag_ms=250), S)
    tick(core, S)
    assert NAME not in red(core)
    core.on_beat(beat(service, 2, loop_lag_ms=251), 2 * S)
    core.on_beat(beat(service, 3, loop_lag_ms=0), 3 * S)
    assert halts(tick(core, 4 * S)) == []
    assert NAME in red(core)
    tick(core, 4 * S + MS)
    assert NAME not in red(core)


def test_a_service_that_does_not_tell_its_lag_does_not_pause() -> None:
    """Its build is another one then, and `build_mismatch` says so."""
    core = running_guard(LIMITS)
    core.on_beat(beat("strategy"), S)
    tick(core, S)
    assert core.standing.view.health.loop_lags_ms == {}


def test_the_lag_of_the_dead_is_forgotten() -> None:
    core = running_guard(LIMITS)
    core.on_beat(beat("strategy", loop_lag_ms=9_000), S)
    tick(core, 3 * S + MS)
    assert NAME not in red(core)

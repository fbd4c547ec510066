"""Heartbeats of marketdata and strategy: how long a silence may last, and whose voice ends it."""

from __future__ import annotations

import pytest

from services.riskguard.core.health.view import HealthView
from services.riskguard.core.triggers.base import View
from tests.support.guards import beat, check, guard, halts, red, running_guard, tick
from tests.support.riskguard_limits import health
from tests.support.truth_builders import MS, S

NAME = "service_silence"
LIMITS = health(service_silence_ms=2_000)
NEEDED = ("marketdata", "strategy")


def test_it_fires_at_its_edge_and_not_before() -> None:
    quiet = View(health=HealthView(silences_ms={"marketdata": 2_000, "strategy": 0}))
    assert check(NAME, quiet, LIMITS) is None
    fired = check(NAME, View(health=HealthView(silences_ms={"marketdata": 1, "strategy": 2_001})), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (2_000, 2_001, False)
    assert "strategy" in fired.text


@pytest.mark.parametrize("silent", NEEDED)
def test_one_of_the_two_is_enough_to_pause_and_its_voice_to_go_on(silent: str) -> None:
    core = running_guard(LIMITS)
    for second in range(1, 5):
        for service in NEEDED:
            if service != silent or second == 1:
                core.on_beat(beat(service, second), second * S)
    tick(core, 3 * S)
    assert NAME not in red(core)
    assert halts(tick(core, 3 * S + MS)) == []
    assert NAME in red(core)
    assert not core.permit(3 * S + MS)[0]
    core.on_beat(beat(silent, 9), 4 * S)
    tick(core, 4 * S)
    assert NAME not in red(core)


def test_a_service_that_was_never_heard_is_silent_since_we_listen() -> None:
    core = guard(limits=LIMITS)
    tick(core, 10 * S)
    tick(core, 12 * S)
    assert NAME not in red(core)
    tick(core, 12 * S + MS)
    assert NAME in red(core)


def test_one_living_replica_is_enough() -> None:
    core = running_guard(LIMITS)
    for second in range(1, 9):
        core.on_beat(beat("marketdata", second), second * S)
        core.on_beat(beat("strategy", second, instance="a" if second < 3 else "b"), second * S)
    tick(core, 9 * S)
    assert NAME not in red(core)


def test_other_services_have_triggers_of_their_own() -> None:
    core = running_guard(LIMITS)
    for service in (*NEEDED, "executor", "reconciler"):
        core.on_beat(beat(service), S)
    for service in NEEDED:
        core.on_beat(beat(service, 2), 9 * S)
    tick(core, 9 * S)
    assert NAME not in red(core)

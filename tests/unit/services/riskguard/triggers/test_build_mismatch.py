"""Builds and configurations that heartbeats tell: what may differ and what may not."""

from __future__ import annotations

import pytest

from services.riskguard.core.effects import Log
from services.riskguard.core.health.view import HealthView
from services.riskguard.core.triggers.base import View
from tests.support.guards import beat, check, halts, red, running_guard, tick
from tests.support.riskguard_limits import WIDE, health
from tests.support.truth_builders import MS, S

NAME = "build_mismatch"


def test_any_problem_fires_and_pauses() -> None:
    assert check(NAME, View(), WIDE) is None
    fired = check(NAME, View(health=HealthView(build_problems=("builds differ: a, b",))), WIDE)
    assert fired is not None
    assert not fired.is_latching
    assert "builds differ: a, b" in fired.text


def test_two_builds_pause_until_the_other_one_is_gone() -> None:
    core = running_guard()
    core.on_beat(beat("strategy"), S)
    core.on_beat(beat("executor"), S)
    tick(core, S)
    assert NAME not in red(core)
    core.on_beat(beat("strategy", instance="strategy-2", build="other"), S)
    assert halts(tick(core, S)) == []
    assert NAME in red(core)
    assert not core.permit(S)[0]
    core.on_beat(beat("strategy", 2), 3 * S)
    tick(core, 3 * S + MS)
    assert NAME not in red(core)


def test_two_replicas_need_one_configuration_and_two_services_do_not() -> None:
    core = running_guard()
    core.on_beat(beat("strategy", config_hash="a"), S)
    core.on_beat(beat("executor", config_hash="b"), S)
    tick(core, S)
    assert NAME not in red(core)
    core.on_beat(beat("strategy", instance="strategy-2", config_hash="c"), S)
    tick(core, S)
    assert NAME in red(core)


def test_a_service_that_is_started_again_with_another_configuration_is_one_service() -> None:
    core = running_guard()
    core.on_beat(beat("strategy", config_hash="a"), S)
    core.on_beat(beat("strategy", 1, config_hash="c"), 2 * S)
    tick(core, 2 * S)
    assert NAME not in red(core)


@pytest.mark.parametrize("build", ["", "unknown"])
def test_a_build_that_is_not_told_is_unknown_and_told_once(build: str) -> None:
    for is_required in (False, True):
        core = running_guard(health(is_build_required=is_required))
        core.on_beat(beat("executor"), S)
        core.on_beat(beat("strategy", build=build), S)
        effects = tick(core, S)
        said = [e for e in effects if isinstance(e, Log) and "build not told: strategy/" in e.message]
        assert "RISK_WARNING" in {log.event_type for log in said}
        assert (NAME in red(core)) == is_required
        assert not [e for e in tick(core, S + MS) if isinstance(e, Log) and e.event_type == "RISK_WARNING"]

"""Our own wall clock against our own monotonic one."""

from __future__ import annotations

import pytest

from services.riskguard.core.health.view import HealthView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard
from tests.support.riskguard_limits import health
from tests.support.truth_builders import MS, NOW_MS, S

NAME = "clock_step"
LIMITS = health(clock_step_ms=1_000)


def test_it_fires_at_its_edge_and_not_before() -> None:
    for step_ms in (1_000, -1_000):
        assert check(NAME, View(health=HealthView(clock_step_ms=step_ms)), LIMITS) is None
    for step_ms in (1_001, -1_001):
        fired = check(NAME, View(health=HealthView(clock_step_ms=step_ms)), LIMITS)
        assert fired is not None
        assert (fired.limit, fired.was, fired.is_latching) == (1_000, 1_001, True)


@pytest.mark.parametrize("step_ms", [2_000, -2_000])
def test_a_step_of_two_seconds_halts_at_the_next_evaluation(step_ms: int) -> None:
    core = running_guard(LIMITS)
    assert halts(core.on_tick(250 * MS, NOW_MS + 250)) == []
    (halt,) = halts(core.on_tick(500 * MS, NOW_MS + 500 + step_ms))
    assert halt.halt.trigger == NAME


@pytest.mark.parametrize(("step_ms", "expected"), [(1_000, set()), (1_001, {NAME}), (-1_001, {NAME})])
def test_the_edge_holds_from_one_evaluation_to_the_next(step_ms: int, expected: set[str]) -> None:
    core = running_guard(LIMITS)
    core.on_tick(250 * MS, NOW_MS + 250 + step_ms)
    assert red(core) & {NAME} == expected


def test_a_pause_of_ours_is_no_step() -> None:
    """A process that stood still for a minute finds both clocks a minute on."""
    core = running_guard(LIMITS)
    core.on_tick(60 * S, NOW_MS + 60_000)
    assert NAME not in red(core)


def test_small_steps_one_after_the_other_add_up_and_a_slow_pull_does_not() -> None:
    core = running_guard(LIMITS)
    for number in range(1, 4):
        core.on_tick(number * S, NOW_MS + number * 1_000 + number * 400)
    assert NAME in red(core)
    core = running_guard(LIMITS)
    for second in range(1, 3_600):
        core.on_tick(second * S, NOW_MS + second * 1_000 + second // 2)  # 0.5 ms a second
        assert NAME not in red(core)


def test_it_stays_red_for_ten_seconds_even_when_the_clock_is_set_back() -> None:
    core = running_guard(LIMITS)
    core.on_tick(S, NOW_MS + 3_000)
    core.on_tick(2 * S, NOW_MS + 2_000)
    core.on_tick(11 * S, NOW_MS + 11_000)
    assert NAME in red(core)
    core.on_tick(11 * S + MS, NOW_MS + 11_001)
    assert NAME not in red(core)

"""The leader's heartbeat: whose counts, from when, and that its silence pauses."""

from __future__ import annotations

from services.riskguard.core.triggers.base import View
from tests.support.guards import beat, check, guard, halts, red, running_guard, tick
from tests.support.riskguard_limits import WIDE
from tests.support.truth_builders import MS, S, epoch_event

NAME = "executor_silence"


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(executor_silence_ms=3_000, executor_silence_ms_max=3_000), WIDE) is None
    fired = check(NAME, View(executor_silence_ms=3_001, executor_silence_ms_max=3_000), WIDE)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (3_000, 3_001, False)


def test_a_heartbeat_keeps_it_quiet_for_three_seconds_and_brings_it_back() -> None:
    core = running_guard()
    core.on_beat(beat("executor"), S)
    tick(core, 4 * S)
    assert NAME not in red(core)
    assert halts(tick(core, 4 * S + MS)) == []
    assert NAME in red(core)
    core.on_beat(beat("executor", 2), 5 * S)
    tick(core, 5 * S)
    assert NAME not in red(core)


def test_an_executor_that_was_never_heard_is_silent_since_we_started() -> None:
    core = guard()
    tick(core, 3 * S + MS)
    assert NAME in red(core)


def test_a_standby_does_not_speak_for_the_leader_and_a_new_epoch_does() -> None:
    core = running_guard()
    core.on_epoch(epoch_event(holder="a"), 1, 0, 0)
    core.on_beat(beat("executor", instance="a"), S)
    core.on_beat(beat("executor", instance="b"), 4 * S)
    tick(core, 4 * S + MS)
    assert NAME in red(core)
    core.on_epoch(epoch_event(2, holder="b"), 2, 0, 5 * S)
    tick(core, 5 * S)
    assert NAME not in red(core)

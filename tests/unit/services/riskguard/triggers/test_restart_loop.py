"""Starts of services: what counts as one, for how long, and what is known after our own restart."""

from __future__ import annotations

import pytest

from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.health.view import HealthView
from services.riskguard.core.triggers.base import View
from tests.support.guards import beat, check, guard, halts, red, running_guard, tick
from tests.support.riskguard_limits import health
from tests.support.truth_builders import MS, NOW_MS, S, epoch_event

NAME = "restart_loop"
LIMITS = health(boots_max=3, boots_window_ms=600_000)
HALF_S = 500 * MS


def live(
    core: RiskguardCore, at_ns: int, instance: str, beats: int = 2, *, service: str = "strategy", **more: str
) -> int:
    """Let an instance start, live for some beats and fall silent; return when it was silent for long.

    We hear ourselves all the while.
    """
    for counter in range(1, beats + 1):
        core.on_beat(beat(service, counter, instance=instance, **more), at_ns + counter * HALF_S)
    return hear_ourselves(core, at_ns + beats * HALF_S, 4)


def hear_ourselves(core: RiskguardCore, since_ns: int, beats: int) -> int:
    """Let our own heartbeat come back this often; return the moment of the last."""
    for number in range(1, beats + 1):
        core.on_beat(beat("riskguard", (since_ns // HALF_S) + number), since_ns + number * HALF_S)
    return since_ns + beats * HALF_S


def boots(core: RiskguardCore, now_ns: int, service: str = "strategy") -> int:
    tick(core, now_ns)
    return core.standing.view.health.boots.get(service, 0)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(health=HealthView(boots={"strategy": 3, "executor": 3})), LIMITS) is None
    fired = check(NAME, View(health=HealthView(boots={"strategy": 4, "executor": 3})), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (3, 4, True)
    assert "strategy 4 times" in fired.text


def test_the_fourth_start_within_ten_minutes_halts() -> None:
    core, now_ns = running_guard(LIMITS), S
    for number in range(1, 4):
        now_ns = live(core, now_ns, f"i{number}")
        assert halts(tick(core, now_ns)) == []
        assert boots(core, now_ns) == number
    core.on_beat(beat("strategy", instance="i4"), now_ns)
    (halt,) = halts(tick(core, now_ns + MS))
    assert halt.halt.trigger == NAME


def test_starts_of_different_services_do_not_add_up() -> None:
    core, now_ns = running_guard(LIMITS), S
    for service in ("strategy", "marketdata", "reconciler"):
        for number in range(1, 3):
            now_ns = live(core, now_ns, f"i{number}", service=service)
    tick(core, now_ns)
    assert NAME not in red(core)


def test_a_start_under_the_same_name_shows_by_its_run_or_by_its_counter() -> None:
    for runs in (("a", "b"), ("a", "a")):
        core = running_guard(LIMITS)
        for number, run in enumerate(runs):
            core.on_beat(beat("strategy", 1, run=run), (number + 1) * S)
            core.on_beat(beat("strategy", 2, run=run), (number + 1) * S + HALF_S)
        assert boots(core, 3 * S) == 2


def test_four_replicas_that_start_together_are_one_start_and_a_rolling_restart_is_none() -> None:
    core = running_guard(LIMITS)
    for number in range(4):
        core.on_beat(beat("strategy", instance=f"r{number}"), S)
    assert boots(core, S) == 1
    # Ten minutes later each is replaced by another one that lives.
    for number in range(4):
        core.on_beat(beat("strategy", instance=f"new{number}"), 700 * S)
    assert boots(core, 700 * S) == 1


def test_four_young_replicas_did_not_die_because_the_bus_was_away_or_we_stood_still() -> None:
    core = running_guard(LIMITS)
    for number in range(4):
        core.on_beat(beat("strategy", instance=f"r{number}"), S)
    back_ns = hear_ourselves(core, 60 * S, 1)
    assert boots(core, back_ns) == 1
    core.on_beat(beat("strategy", 99, instance="r0"), back_ns)
    assert boots(core, hear_ourselves(core, back_ns, 1)) == 1, "the others are only half a second late"
    assert boots(core, hear_ourselves(core, back_ns + HALF_S, 4)) == 4, "now they have died after all"


def test_a_process_that_stood_still_did_not_start() -> None:
    core = running_guard(LIMITS)
    core.on_beat(beat("strategy", 1), S)
    core.on_beat(beat("strategy", 2), 60 * S)
    assert boots(core, 60 * S) == 1


def test_a_start_is_forgotten_after_the_window() -> None:
    core, now_ns = running_guard(LIMITS), S
    for number in range(1, 5):
        now_ns = live(core, now_ns, f"i{number}")
    assert boots(core, now_ns) == 4
    assert boots(core, 600 * S + HALF_S) == 4
    assert boots(core, 601 * S + MS) == 3


def test_our_own_restart_does_not_make_everybody_young() -> None:
    """First heard with counter 1,200, a service has lived for ten minutes."""
    core = running_guard(LIMITS)
    core.on_beat(beat("strategy", 1_200), S)
    assert boots(core, S + MS) == 0
    core.on_beat(beat("marketdata", 100), S)
    assert boots(core, S + MS, "marketdata") == 1


@pytest.mark.parametrize(("age_ms", "expected"), [(600_000, {NAME}), (600_001, set())])
def test_the_executors_epochs_count_by_when_they_were_stored(age_ms: int, expected: set[str]) -> None:
    """A guard that has just started reads them all at once; old ones stay old."""
    core = guard(limits=LIMITS)
    for number in range(1, 5):
        stored_ms = NOW_MS - age_ms if number == 1 else NOW_MS - 1_000
        core.on_epoch(epoch_event(number, holder=f"e{number}"), number, stored_ms, 0)
    tick(core, 0)
    assert red(core) & {NAME} == expected


def test_a_leader_that_takes_over_from_itself_has_not_started() -> None:
    """It does so after each resume: a day of drills is no restart loop."""
    core = guard(limits=LIMITS)
    for number in range(1, 40):
        core.on_epoch(epoch_event(number, holder="a"), number, NOW_MS - 1_000, 0)
    assert boots(core, 0, "executor") == 1
    for number, holder in enumerate("bab", 40):
        core.on_epoch(epoch_event(number, holder=holder), number, NOW_MS - 500, 0)
    assert boots(core, 0, "executor") == 4


def test_epochs_and_heartbeats_of_the_same_executors_are_not_added() -> None:
    core, now_ns = running_guard(LIMITS), S
    for number in range(1, 4):
        epoch = epoch_event(number, holder=f"i{number}")
        core.on_epoch(epoch, number, NOW_MS + now_ns // MS, now_ns)
        core.on_epoch(epoch, number, NOW_MS + now_ns // MS, now_ns)
        now_ns = live(core, now_ns, f"i{number}", service="executor")
    assert boots(core, now_ns, "executor") == 3

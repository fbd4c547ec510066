"""Other clocks minus ours: what answers of the exchange and heartbeats prove, and no more."""

from __future__ import annotations

import pytest

from libs.common.kalshi.server_clock import ClockBounds
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.effects import Log
from services.riskguard.core.health.view import HealthView
from services.riskguard.core.triggers.base import View
from tests.support.guards import beat, check, halts, red, running_guard, tick
from tests.support.riskguard_limits import health
from tests.support.truth_builders import MS, NOW_MS, S

NAME = "clock_skew"
LIMITS = health(clock_skew_ms=2_000, clock_skew_warn_ms=500)


def bounds(low_ms: int, high_ms: int) -> ClockBounds:
    return ClockBounds(low_ms * MS, high_ms * MS)


def answers(core: RiskguardCore, *told: ClockBounds, at_ns: int = S) -> None:
    for one in told:
        core.on_exchange_clock(one, at_ns)


def skew_ms(core: RiskguardCore, whose: str = "exchange") -> int | None:
    return core.standing.view.health.clock_skews_ms.get(whose)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(health=HealthView(clock_skews_ms={"a": 2_000, "b": -2_000})), LIMITS) is None
    for worst_ms in (2_001, -2_001):
        view = View(health=HealthView(clock_skews_ms={"a": worst_ms, "b": 5}))
        fired = check(NAME, view, LIMITS)
        assert fired is not None
        assert (fired.limit, fired.was, fired.is_latching) == (2_000, 2_001, True)
        assert f"that of a minus ours is at least {worst_ms} ms" in fired.text


@pytest.mark.parametrize("sign", [1, -1])
def test_the_exchanges_clock_counts_only_as_far_as_its_answers_prove(sign: int) -> None:
    """Three answers that leave room down to 2,000 ms prove 2,000 ms; one more that does not, more."""
    core = running_guard(LIMITS)
    for low_ms, high_ms in ((1_200, 3_300), (2_000, 4_100), (1_700, 3_800)):
        answers(core, bounds(*sorted((sign * low_ms, sign * high_ms))))
    tick(core, S)
    assert skew_ms(core) == sign * 2_000
    assert NAME not in red(core)
    answers(core, bounds(*sorted((sign * 2_001, sign * 4_100))))
    (halt,) = halts(tick(core, 2 * S))
    assert halt.halt.trigger == NAME


def test_bounds_with_zero_between_them_prove_nothing() -> None:
    core = running_guard(LIMITS)
    answers(core, *[bounds(-900, 1_100)] * 5)
    tick(core, S)
    assert skew_ms(core) == 0


def test_two_answers_are_not_enough() -> None:
    core = running_guard(LIMITS)
    answers(core, bounds(9_000, 11_000), bounds(9_000, 11_000))
    tick(core, S)
    assert skew_ms(core) is None
    assert NAME not in red(core)


def test_one_answer_that_contradicts_all_others_proves_nothing_and_three_do() -> None:
    """A single old answer out of somebody's cache must not halt; a clock that was set must."""
    core = running_guard(LIMITS)
    answers(core, *[bounds(-500, 1_500)] * 5, bounds(-9_000, -7_000))
    tick(core, S)
    assert skew_ms(core) == 0
    answers(core, bounds(-9_000, -7_000), bounds(-9_000, -7_000))
    tick(core, 2 * S)
    assert skew_ms(core) == -7_000
    assert NAME in red(core)


def test_answers_are_forgotten_after_half_a_minute_and_when_our_clock_steps() -> None:
    for later_ns, later_ms in ((32 * S, 32_000), (2 * S, 60_000)):
        core = running_guard(LIMITS)
        answers(core, *[bounds(3_000, 5_000)] * 3)
        tick(core, S)
        assert NAME in red(core)
        core.on_tick(later_ns, NOW_MS + later_ms)
        assert skew_ms(core) is None


@pytest.mark.parametrize(("ahead_ms", "expected"), [(2_000, set()), (2_001, {NAME}), (-2_001, {NAME})])
def test_a_services_clock_is_compared_by_the_quickest_of_its_beats(ahead_ms: int, expected: set[str]) -> None:
    """Three of four beats are late by a second; the fourth is not, and speaks for the sender."""
    core = running_guard(LIMITS)
    for number, late_ms in enumerate((1_000, 1_000, 0, 1_000), 1):
        at_ms = 250 * number
        tick(core, at_ms * MS)
        sent_ms = NOW_MS + at_ms + ahead_ms - late_ms
        core.on_beat(beat("strategy", number, sent_ms=sent_ms), at_ms * MS)
    tick(core, S + MS)
    assert skew_ms(core, "strategy/strategy-1") == ahead_ms
    assert red(core) & {NAME} == expected


def test_fewer_than_four_beats_say_nothing_of_a_clock() -> None:
    core = running_guard(LIMITS)
    for number in range(1, 4):
        core.on_beat(beat("strategy", number, sent_ms=NOW_MS - 60_000), number * MS)
    tick(core, S)
    assert NAME not in red(core)


def test_half_a_second_is_told_once_and_halts_nothing() -> None:
    core = running_guard(LIMITS)
    answers(core, *[bounds(501, 2_600)] * 3)
    effects = tick(core, S)
    assert red(core) & {NAME} == set()
    (warning,) = [effect for effect in effects if isinstance(effect, Log) and "clock" in effect.message]
    assert warning.level == "WARNING"
    assert not [e for e in tick(core, 2 * S) if isinstance(e, Log) and "clock" in e.message]
    calm = running_guard(LIMITS)
    answers(calm, *[bounds(500, 2_600)] * 3)
    assert not [e for e in tick(calm, S) if isinstance(e, Log) and "clock" in e.message]

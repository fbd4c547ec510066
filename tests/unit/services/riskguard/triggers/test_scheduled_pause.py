"""The exchange's own schedule: quotes go before it closes."""

from __future__ import annotations

from libs.common.kalshi.model import Session
from services.riskguard.core.slow.readings import ScheduleRead, Unread
from services.riskguard.core.slow.view import SlowView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard
from tests.support.riskguard_limits import WIDE, slow
from tests.support.slow_builders import at, schedule
from tests.support.truth_builders import MS, NOW_MS

NAME = "scheduled_pause"
LIMITS = slow(schedule_lead_ms=180_000)
HOUR = 3_600_000
THURSDAY_MS = 1_700_118_000_000  # 2023-11-16, 02:00 Eastern
"""`NOW_MS` is a Tuesday evening in New York."""


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(slow=SlowView(pause_left_ms=180_001)), LIMITS) is None
    fired = check(NAME, View(slow=SlowView(pause_left_ms=180_000)), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (180_000, 180_000, False)
    assert check(NAME, View(slow=SlowView(pause_left_ms=1)), WIDE) is None, "zero is zero"
    assert check(NAME, View(slow=SlowView(pause_left_ms=0)), WIDE) is not None


def test_maintenance_closes_a_while_before_and_opens_at_its_end() -> None:
    core = running_guard(LIMITS)
    core.on_slow(ScheduleRead(schedule((NOW_MS + HOUR, NOW_MS + 2 * HOUR))), 0)
    at(core, HOUR - 180_001)
    assert NAME not in red(core)
    assert core.standing.view.slow.gauges(180)["scheduled_pause_minutes_left"] == 3
    assert halts(at(core, HOUR - 180_000)) == []
    assert NAME in red(core)
    core.on_slow(Unread("schedule", "503"), HOUR * MS)
    at(core, 2 * HOUR - 1)
    assert NAME in red(core)
    at(core, 2 * HOUR)
    assert NAME not in red(core)
    assert core.permit(2 * HOUR * MS) == (True, ())


def test_a_simulated_thursday_of_opening_hours() -> None:
    """The known pause, told as two sessions of a day: 03:00 to 05:00 in New York (F10)."""
    core = running_guard(LIMITS)
    core.on_slow(ScheduleRead(schedule(days={3: (Session(0, 180), Session(300, 1_440))})), 0)
    start_ms = THURSDAY_MS + HOUR - NOW_MS
    for ms, is_red in (
        (start_ms - 180_001, False),
        (start_ms - 180_000, True),
        (start_ms + 2 * HOUR - 1, True),
        (start_ms + 2 * HOUR, False),
        (start_ms + 7 * 24 * HOUR, True),
    ):
        at(core, ms)
        assert (NAME in red(core)) == is_red, ms


def test_without_a_schedule_nothing_is_known_to_close() -> None:
    core = running_guard(LIMITS)
    core.on_slow(Unread("schedule", "503"), 0)
    at(core, 1)
    assert NAME not in red(core)

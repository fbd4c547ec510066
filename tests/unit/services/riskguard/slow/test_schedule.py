"""Pauses of a schedule in New York's own time, whatever its offset that day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.kalshi.model import ExchangeSchedule, Session, WeeklyHours
from services.riskguard.core.slow.schedule import VENUE_ZONE, ScheduleWatch, pauses
from tests.support.slow_builders import ALL_DAY

NEW_YORK = ZoneInfo(VENUE_ZONE)
HOUR = 3_600_000
THURSDAY = (Session(0, 180), Session(300, 1_440))
NIGHTLY = (Session(0, 60), Session(150, 1_440))
FOREVER = (0, 4_000_000_000_000)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


def weekly(*days: tuple[Session, ...], start_ms: int = FOREVER[0], end_ms: int = FOREVER[1]) -> WeeklyHours:
    return WeeklyHours(start_ms, end_ms, days)


def spans(schedule: ExchangeSchedule, today: str) -> list[tuple[str, str]]:
    found = pauses(schedule, NEW_YORK, date.fromisoformat(today))
    return [(text(start_ms), text(end_ms)) for start_ms, end_ms in found]


def text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%m-%d %H:%M")


@pytest.mark.parametrize(
    ("today", "start", "end"),
    [
        ("2026-11-25", "11-26 08:00", "11-26 10:00"),  # winter: UTC-5
        ("2026-07-01", "07-02 07:00", "07-02 09:00"),  # summer: UTC-4
        ("2026-03-10", "03-12 07:00", "03-12 09:00"),  # four days after the clocks went forward
        ("2026-11-04", "11-05 08:00", "11-05 10:00"),  # four days after they went back
    ],
)
def test_thursdays_pause_is_at_three_in_new_york(today: str, start: str, end: str) -> None:
    week = weekly(ALL_DAY, ALL_DAY, ALL_DAY, THURSDAY, ALL_DAY, ALL_DAY, ALL_DAY)
    assert (start, end) in spans(ExchangeSchedule((week,), ()), today)


def test_an_hour_that_comes_twice_closes_at_its_first_time_and_opens_at_its_second() -> None:
    """On 2026-11-01 New York's 01:00 is 05:00 and again 06:00 in UTC."""
    week = weekly(*[NIGHTLY] * 7)
    found = spans(ExchangeSchedule((week,), ()), "2026-11-01")
    assert ("11-01 05:00", "11-01 07:30") in found
    assert ("11-02 06:00", "11-02 07:30") in found


def test_an_hour_that_does_not_come_is_when_the_clocks_jumped() -> None:
    """On 2026-03-08 there is no 02:30 in New York: 06:00 in UTC is one o'clock, 07:30 is half past three."""
    week = weekly(*[NIGHTLY] * 7)
    found = spans(ExchangeSchedule((week,), ()), "2026-03-08")
    assert any(start == "03-08 06:00" and end in ("03-08 06:30", "03-08 07:30") for start, end in found)


def test_a_session_may_end_on_the_next_day() -> None:
    week = weekly(*[(Session(480, 1_620),)] * 7)  # 08:00 to 03:00, as it once was
    found = spans(ExchangeSchedule((week,), ()), "2026-11-23")
    assert found[1] == ("11-23 08:00", "11-23 13:00")
    assert all(end[-5:] == "13:00" for _, end in found)


def test_days_without_sessions_are_one_long_pause_and_days_without_a_week_are_not_known() -> None:
    closed = weekly(
        *[()] * 7, start_ms=ms("2026-11-24T05:00:00+00:00"), end_ms=ms("2026-11-26T05:00:00+00:00")
    )
    assert spans(ExchangeSchedule((closed,), ()), "2026-11-23") == [("11-24 05:00", "11-26 05:00")]
    assert spans(ExchangeSchedule((), ()), "2026-11-23") == []


def test_of_two_weeks_that_hold_the_later_one_was_meant() -> None:
    holiday = weekly(
        *[()] * 7, start_ms=ms("2026-11-24T05:00:00+00:00"), end_ms=ms("2026-11-25T05:00:00+00:00")
    )
    always = weekly(*[ALL_DAY] * 7)
    for both in ((always, holiday), (holiday, always)):
        assert spans(ExchangeSchedule(both, ()), "2026-11-23") == [("11-24 05:00", "11-25 05:00")]


def test_maintenance_joins_a_pause_that_it_touches() -> None:
    week = weekly(ALL_DAY, ALL_DAY, ALL_DAY, THURSDAY, ALL_DAY, ALL_DAY, ALL_DAY)
    windows = ((ms("2026-11-26T09:30:00+00:00"), ms("2026-11-26T11:00:00+00:00")), (7, 7))
    assert ("11-26 08:00", "11-26 11:00") in spans(ExchangeSchedule((week,), windows), "2026-11-25")


def test_the_next_pause_moves_on_with_the_days() -> None:
    watch = ScheduleWatch(NEW_YORK)
    assert watch.left_ms(ms("2026-11-25T12:00:00+00:00")) is None
    week = weekly(ALL_DAY, ALL_DAY, ALL_DAY, THURSDAY, ALL_DAY, ALL_DAY, ALL_DAY)
    watch.on_schedule(ExchangeSchedule((week,), ()))
    for moment, left_ms in (
        ("2026-11-25T12:00:00+00:00", 20 * HOUR),
        ("2026-11-26T08:00:00+00:00", 0),
        ("2026-11-26T09:59:59+00:00", 0),
        ("2026-11-26T10:00:00+00:00", (7 * 24 - 2) * HOUR),
        ("2027-03-11T06:59:00+00:00", HOUR + 60_000),  # before the clocks go forward, on the 14th
        ("2027-03-18T06:59:00+00:00", 60_000),
    ):
        assert watch.left_ms(ms(moment)) == left_ms, moment


@given(
    st.lists(st.tuples(st.integers(0, 1_439), st.integers(1, 1_440)), max_size=4),
    st.dates(date(2026, 1, 1), date(2027, 12, 31)),
    st.integers(0, 7 * 1_440 - 1),
)
def test_pauses_agree_with_the_clock_on_the_wall(
    sessions: list[tuple[int, int]], today: date, minute: int
) -> None:
    """Outside of the hours around a change of clocks, a minute is closed if no session has it."""
    day = tuple(Session(opens, opens + length) for opens, length in sessions)
    found = pauses(ExchangeSchedule((weekly(*[day] * 7),), ()), NEW_YORK, today)
    midnight = datetime(today.year, today.month, today.day, tzinfo=NEW_YORK)
    at_ms = int(midnight.timestamp() * 1_000) + minute * 60_000
    here = datetime.fromtimestamp(at_ms / 1_000, NEW_YORK)
    offsets = {
        datetime.fromtimestamp((at_ms + hours * HOUR) / 1_000, NEW_YORK).utcoffset() for hours in (-49, 0, 49)
    }
    if len(offsets) > 1:
        return
    wall = here.hour * 60 + here.minute
    is_open = any(s.opens <= wall < s.closes or s.opens <= wall + 1_440 < s.closes for s in day)
    assert any(start_ms <= at_ms < end_ms for start_ms, end_ms in found) == (not is_open)

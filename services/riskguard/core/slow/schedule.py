"""When the exchange closes by its own schedule: opening hours in Eastern time, and maintenance.

Rules of the file:

* Hours are of a day in New York, whatever its offset that day: a session that closes at
  03:00 does so after four hours on the night the clocks go back and after two the other way.
* An hour that comes twice closes at its first time and opens at its second.
* A day that no weekly schedule covers is not known to be closed: the exchange's own
  state (`exchange_pause`) is what tells then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from libs.common.kalshi.model import ExchangeSchedule, Session, WeeklyHours

VENUE_ZONE: Final = "America/New_York"
_AHEAD_DAYS: Final = 9
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOON: Final = 720
_DAY: Final = 1_440
Span = tuple[int, int]
"""From, to; Unix milliseconds."""


class ScheduleWatch:
    """The newest schedule."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._schedule: ExchangeSchedule | None = None
        self._pauses: tuple[Span, ...] = ()
        self._made_on: date | None = None

    def on_schedule(self, schedule: ExchangeSchedule) -> None:
        """Take a schedule."""
        if schedule != self._schedule:
            self._schedule, self._made_on = schedule, None

    def next_pause(self, now_ms: int) -> Span | None:
        """Return the pause that is on, or the next one within a week; None where none is known."""
        if self._schedule is None:
            return None
        today = (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(self._zone).date()
        if self._made_on != today:
            self._made_on = today
            self._pauses = pauses(self._schedule, self._zone, today)
        return next((span for span in self._pauses if span[1] > now_ms), None)

    def left_ms(self, now_ms: int) -> int | None:
        """Return how long until the next pause, zero while one is on."""
        pause = self.next_pause(now_ms)
        return None if pause is None else max(0, pause[0] - now_ms)


def pauses(schedule: ExchangeSchedule, zone: ZoneInfo, today: date) -> tuple[Span, ...]:
    """Return every pause from yesterday until a week ahead, merged and in order."""
    days = [today + timedelta(days=ahead) for ahead in range(-1, _AHEAD_DAYS)]
    # One day more on both ends: a session of the evening before reaches into the first.
    around = [days[0] - timedelta(days=1), *days]
    is_open = _merged(span for day in around for span in _sessions(schedule, zone, day))
    first_ms, last_ms = _moment_ms(zone, days[0], 0), _moment_ms(zone, days[-1], _DAY)
    closed = list(_gaps(is_open, first_ms, last_ms)) if schedule.hours else []
    windows = [span for span in schedule.maintenance if span[0] < span[1]]
    return tuple(_merged([*closed, *windows]))


def _sessions(schedule: ExchangeSchedule, zone: ZoneInfo, day: date) -> Iterator[Span]:
    noon_ms = _moment_ms(zone, day, _NOON)
    holding = [week for week in schedule.hours if week.start_ms <= noon_ms < week.end_ms]
    # Of several that hold, the one that began last was meant for less time.
    week = max(holding, key=_begins, default=None)
    sessions = (Session(0, _DAY),) if week is None else week.days[day.weekday()]
    for session in sessions:
        opens_ms = _moment_ms(zone, day, session.opens, fold=1)
        closes_ms = _moment_ms(zone, day, session.closes)
        if opens_ms < closes_ms:
            yield opens_ms, closes_ms


def _begins(week: WeeklyHours) -> int:
    return week.start_ms


def _moment_ms(zone: ZoneInfo, day: date, minute: int, fold: int = 0) -> int:
    naive = datetime.combine(day, time()) + timedelta(minutes=minute)
    return (naive.replace(tzinfo=zone, fold=fold) - _EPOCH) // timedelta(milliseconds=1)


def _merged(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for start_ms, end_ms in sorted(spans):
        if found and start_ms <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end_ms))
        else:
            found.append((start_ms, end_ms))
    return found


def _gaps(is_open: list[Span], first_ms: int, last_ms: int) -> Iterator[Span]:
    at_ms = first_ms
    for start_ms, end_ms in is_open:
        if start_ms > at_ms:
            yield at_ms, start_ms
        at_ms = max(at_ms, end_ms)
    if at_ms < last_ms:
        yield at_ms, last_ms

"""The venue's terms as REST answers them: our keys, opening hours, maintenance, announced fee changes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

import msgspec

from libs.common.kalshi.model import (
    ExchangeSchedule,
    FeeChange,
    Session,
    VenueKey,
    VenueKeys,
    WeeklyHours,
)
from libs.common.kalshi.wire_text import MalformedWire, multiplier_e4, time_ms

DAY_MINUTES: Final = 1_440
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::[0-9]{2})?")


class KeyWire(msgspec.Struct, frozen=True, kw_only=True):
    """One API key."""

    api_key_id: str
    name: str
    scopes: list[str]


class KeysAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /api_keys``; the attestation is absent where the account never attested."""

    api_keys: list[KeyWire]
    api_key_region_expiration_ts: int | None = None


class SessionWire(msgspec.Struct, frozen=True, kw_only=True):
    """One session of a day, ``HH:MM`` in US Eastern."""

    open_time: str
    close_time: str


class WeekWire(msgspec.Struct, frozen=True, kw_only=True):
    """The sessions of each weekday, and from when to when they hold."""

    start_time: str
    end_time: str
    monday: list[SessionWire]
    tuesday: list[SessionWire]
    wednesday: list[SessionWire]
    thursday: list[SessionWire]
    friday: list[SessionWire]
    saturday: list[SessionWire]
    sunday: list[SessionWire]


class WindowWire(msgspec.Struct, frozen=True, kw_only=True):
    """One maintenance window."""

    start_datetime: str
    end_datetime: str


class ScheduleWire(msgspec.Struct, frozen=True, kw_only=True):
    """The schedule."""

    standard_hours: list[WeekWire]
    maintenance_windows: list[WindowWire]


class ScheduleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /exchange/schedule``."""

    schedule: ScheduleWire


class SeriesFeeWire(msgspec.Struct, frozen=True, kw_only=True):
    """One announced change of a series' fees."""

    id: str
    series_ticker: str
    fee_type: str
    fee_multiplier: Decimal
    scheduled_ts: str


class SeriesFeesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /series/fee_changes``; without pages."""

    series_fee_change_arr: list[SeriesFeeWire] | None = None


class EventFeeWire(msgspec.Struct, frozen=True, kw_only=True):
    """One announced change of an event's override; two nulls clear it."""

    id: str
    event_ticker: str
    series_ticker: str
    scheduled_ts: str
    fee_type_override: str | None = None
    fee_multiplier_override: Decimal | None = None


class EventFeesPage(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /events/fee_changes``."""

    event_fee_changes: list[EventFeeWire] | None = None
    cursor: str | None = None


def keys_of(wire: KeysAnswer) -> VenueKeys:
    """Return the account's keys."""
    until_s = wire.api_key_region_expiration_ts
    return VenueKeys(
        keys=tuple(VenueKey(key.api_key_id, key.name, frozenset(key.scopes)) for key in wire.api_keys),
        region_expires_ms=None if until_s is None else until_s * 1_000,
    )


def schedule_of(wire: ScheduleAnswer) -> ExchangeSchedule:
    """Return the schedule in our units.

    Raises:
        MalformedWire: A time has another form than its field allows.
    """
    schedule = wire.schedule
    return ExchangeSchedule(
        hours=tuple(_week(week) for week in schedule.standard_hours),
        maintenance=tuple(
            (time_ms(window.start_datetime), time_ms(window.end_datetime))
            for window in schedule.maintenance_windows
        ),
    )


def series_fee_of(wire: SeriesFeeWire) -> FeeChange:
    """Return an announced change of a series.

    Raises:
        MalformedWire: The time has another form, or the multiplier is absurd.
    """
    multiplier = multiplier_e4(wire.fee_multiplier)
    return FeeChange(wire.id, wire.series_ticker, "", wire.fee_type, multiplier, time_ms(wire.scheduled_ts))


def event_fee_of(wire: EventFeeWire) -> FeeChange:
    """Return an announced change of an event.

    Raises:
        MalformedWire: The time has another form, or the multiplier is absurd.
    """
    return FeeChange(
        wire.id,
        wire.series_ticker,
        wire.event_ticker,
        wire.fee_type_override or None,
        multiplier_e4(wire.fee_multiplier_override),
        time_ms(wire.scheduled_ts),
    )


def _week(week: WeekWire) -> WeeklyHours:
    days = (
        week.monday,
        week.tuesday,
        week.wednesday,
        week.thursday,
        week.friday,
        week.saturday,
        week.sunday,
    )
    sessions = tuple(tuple(_session(session) for session in day) for day in days)
    return WeeklyHours(time_ms(week.start_time), time_ms(week.end_time), sessions)


def _session(wire: SessionWire) -> Session:
    opens, closes = _minute(wire.open_time), _minute(wire.close_time)
    # 00:00 to 00:00 is a whole day, 08:00 to 03:00 ends on the next one.
    return Session(opens, closes if closes > opens else closes + DAY_MINUTES)


def _minute(text: str) -> int:
    match = _CLOCK.fullmatch(text)
    minute = int(match[1]) * 60 + int(match[2]) if match else DAY_MINUTES + 1
    if match is None or int(match[2]) > 59 or minute > DAY_MINUTES:
        raise MalformedWire(f"time of day HH:MM, was {text!r}")
    return minute

"""Hours, keys and announced fees as the venue writes them."""

from __future__ import annotations

import msgspec
import pytest

from libs.common.kalshi.model import FeeChange, Session, VenueKey
from libs.common.kalshi.wire_account import LimitsWire, limits_of
from libs.common.kalshi.wire_terms import (
    DAY_MINUTES,
    EventFeesPage,
    KeysAnswer,
    ScheduleAnswer,
    SeriesFeesAnswer,
    event_fee_of,
    keys_of,
    schedule_of,
    series_fee_of,
)
from libs.common.kalshi.wire_text import MalformedWire

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
YEAR = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2027-01-01T00:00:00Z"}


def schedule(opens: str, closes: str) -> ScheduleAnswer:
    session = [{"open_time": opens, "close_time": closes}]
    week = YEAR | dict.fromkeys(DAYS, session)
    return msgspec.convert(
        {"schedule": {"standard_hours": [week], "maintenance_windows": []}}, ScheduleAnswer
    )


@pytest.mark.parametrize(
    ("opens", "closes", "session"),
    [
        ("00:00", "00:00", Session(0, DAY_MINUTES)),
        ("00:00", "03:00", Session(0, 180)),
        ("05:00", "00:00", Session(300, DAY_MINUTES)),
        ("08:00", "03:00", Session(480, DAY_MINUTES + 180)),
        ("08:00:00", "24:00", Session(480, DAY_MINUTES)),
    ],
)
def test_sessions_are_minutes_and_one_that_ends_before_it_begins_ends_tomorrow(
    opens: str, closes: str, session: Session
) -> None:
    assert schedule_of(schedule(opens, closes)).hours[0].days == ((session,),) * 7


@pytest.mark.parametrize("text", ["", "3", "25:00", "24:01", "12:60", "noon", "-1:00", "٠٣:00"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(MalformedWire, match="HH:MM"):
        schedule_of(schedule(text, "05:00"))


def test_keys_tell_their_scopes_and_a_missing_attestation_is_none() -> None:
    row = {"api_key_id": "k", "name": "guard", "scopes": ["read", "write::trade"], "subaccount": None}
    keys = keys_of(msgspec.convert({"api_keys": [row]}, KeysAnswer))
    assert keys.keys == (VenueKey("k", "guard", frozenset(("read", "write::trade"))),)
    assert keys.region_expires_ms is None
    told = {"api_keys": [], "api_key_region_expiration_ts": 1_700_000_000}
    assert keys_of(msgspec.convert(told, KeysAnswer)).region_expires_ms == 1_700_000_000_000


def test_fee_changes_of_series_and_events_are_one_noun() -> None:
    moment = "2026-11-21T00:00:00Z"
    series = msgspec.json.decode(
        b'{"series_fee_change_arr":[{"id":"1","series_ticker":"S","fee_type":"quadratic",'
        b'"fee_multiplier":0.5,"scheduled_ts":"2026-11-21T00:00:00Z"}]}',
        type=SeriesFeesAnswer,
    )
    assert series.series_fee_change_arr is not None
    at_ms = 1_795_219_200_000
    assert series_fee_of(series.series_fee_change_arr[0]) == FeeChange(
        "1", "S", "", "quadratic", 5_000, at_ms
    )
    row = {"id": "2", "event_ticker": "S-E", "series_ticker": "S", "scheduled_ts": moment}
    cleared = row | {"fee_type_override": None, "fee_multiplier_override": None}
    page = msgspec.convert({"event_fee_changes": [cleared], "cursor": ""}, EventFeesPage)
    assert page.event_fee_changes is not None
    assert event_fee_of(page.event_fee_changes[0]) == FeeChange("2", "S", "S-E", None, None, at_ms)


@pytest.mark.parametrize(
    ("grants", "expires_ms"),
    [
        ([], None),
        ([("event_contract", "premier", 2_000)], 2_000_000),
        ([("event_contract", "premier", 2_000), ("event_contract", "premier", 3_000)], 3_000_000),
        ([("event_contract", "premier", 2_000), ("event_contract", "premier", None)], None),
        ([("event_contract", "advanced", None), ("event_contract", "premier", 2_000)], 2_000_000),
        ([("margined", "premier", 1_000), ("event_contract", "premier", 2_000)], 2_000_000),
    ],
)
def test_a_tier_lasts_as_long_as_the_longest_grant_of_it(
    grants: list[tuple[str, str, int | None]], expires_ms: int | None
) -> None:
    bucket = {"refill_rate": 1, "bucket_capacity": 1}
    rows = [
        {"exchange_instance": lane, "level": level, "source": "volume"}
        | ({} if end is None else {"expires_ts": end})
        for lane, level, end in grants
    ]
    body = {"usage_tier": "premier", "read": bucket, "write": bucket, "grants": rows}
    assert limits_of(msgspec.convert(body, LimitsWire)).expires_ms == expires_ms

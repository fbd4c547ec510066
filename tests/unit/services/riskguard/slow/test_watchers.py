"""What the watchers tell beside their triggers: gauges, ages, failures, growth, bounds."""

from __future__ import annotations

from services.riskguard.core.effects import Effect, Log
from services.riskguard.core.slow.disk import SAMPLE_NS, DiskWatch
from services.riskguard.core.slow.fees import ASKED_MAX
from services.riskguard.core.slow.markets import Markets
from services.riskguard.core.slow.readings import (
    DiskRead,
    FeesRead,
    FilesRead,
    KeysRead,
    ScheduleRead,
    TierRead,
    Unread,
)
from services.riskguard.core.slow.view import DAY_MS, SlowView
from tests.support.guards import reading, red, running_guard, tick
from tests.support.riskguard_limits import SLOW, slow
from tests.support.slow_builders import TRADE, change, keys, limits_of, schedule, status
from tests.support.truth_builders import MS, NOW_MS, S, venue_order

GB = 1_000_000_000


def told(effects: list[Effect]) -> list[str]:
    return [e.message for e in effects if isinstance(e, Log) and e.event_type == "RISK_WARNING"]


def test_what_is_not_known_has_no_gauge() -> None:
    assert SlowView().gauges(180) == {"keys_that_move_funds": 0}


def test_every_reading_has_a_gauge_of_its_age_and_of_what_is_left() -> None:
    core = running_guard()
    for read in (
        keys(30.0, movers=1),
        TierRead(limits_of(ends_days=10)),
        FeesRead(()),
        ScheduleRead(schedule((NOW_MS + 600_000, NOW_MS + 700_000))),
        FilesRead({"venue key": NOW_MS - 10 * DAY_MS, "bus password": NOW_MS}),
        DiskRead(40 * GB, 60 * GB),
    ):
        assert core.on_slow(read, 2 * S) == []
    tick(core, 60 * S)
    gauges = core.standing.view.slow.gauges(180)
    assert gauges == {
        "attestation_days_left": 30.0,
        "credential_days_left": 170.0,
        "tier_days_left": 10.0,
        "tier_share_e4": 10_000,
        "scheduled_pause_minutes_left": 9.0,
        "disk_used_e4": 4_000,
        "disk_free_mb": 60_000,
        "key_can_move_funds": 0,
        "keys_that_move_funds": 1,
    } | {f"{kind}_read_age_s": 58 for kind in ("keys", "tier", "fees", "schedule", "files", "disk")}


def test_what_cannot_be_read_is_told_once_closes_nothing_and_is_told_again_after_it_could() -> None:
    core = running_guard()
    kinds = ("keys", "tier", "fees", "schedule", "files", "disk")
    for kind in kinds:
        core.on_slow(Unread(kind, "timeout"), S)
    assert sorted(told(tick(core, S))) == sorted(f"{kind} cannot be read: timeout" for kind in kinds)
    assert red(core) == set()
    core.on_slow(Unread("keys", "still"), 2 * S)
    assert told(tick(core, 2 * S)) == []
    core.on_slow(keys(), 3 * S)
    told(tick(core, 3 * S))
    core.on_slow(Unread("keys", "again"), 4 * S)
    assert told(tick(core, 4 * S)) == ["keys cannot be read: again"]
    assert core.standing.view.slow.ages_ms == {"keys": 1_000}


def test_a_key_that_could_move_funds_is_told_of_where_that_is_allowed() -> None:
    core = running_guard()
    core.on_slow(KeysRead(TRADE | {"write::transfer"}, 0, NOW_MS + DAY_MS), S)
    assert told(tick(core, S)) == ["our own key could move funds; it needs read and write::trade only"]
    assert core.standing.view.slow.gauges(180)["key_can_move_funds"] == 1


def test_the_disks_days_left_follow_its_growth() -> None:
    disk = DiskWatch()
    limits = slow(disk_used_e4=9_000).slow
    for number in range(7):
        assert disk.left_ms(limits) is None
        disk.on_disk(DiskRead((40 + number) * GB, (60 - number) * GB), number * SAMPLE_NS)
    # A gigabyte in ten minutes, 44 of them to the limit.
    assert disk.left_ms(limits) == 44 * SAMPLE_NS // MS
    disk.on_disk(DiskRead(95 * GB, 5 * GB), 6 * SAMPLE_NS + S)
    assert disk.left_ms(limits) == 0
    for number in range(7, 400):
        disk.on_disk(DiskRead(46 * GB, 54 * GB), number * SAMPLE_NS)
    assert disk.left_ms(limits) is None, "it did not grow within a day"


def test_a_disk_without_any_room_is_full() -> None:
    disk = DiskWatch()
    assert (disk.used_e4, disk.free_bytes, dict(disk.warnings(SLOW))) == (None, None, {})
    disk.on_disk(DiskRead(0, 0), S)
    assert disk.used_e4 == 10_000


def test_many_events_are_asked_about_in_turns() -> None:
    core = running_guard()
    names = [f"KXTEST-E{number:02d}-M" for number in range(30)]
    for name in names:
        core.on_status(status(name, event=name[:-2]), 0)
    orders = tuple(venue_order(number, market=name) for number, name in enumerate(names))
    core.on_reading(reading(orders=orders), S)
    core.on_slow(FeesRead((change(NOW_MS),)), 0)
    tick(core, S)
    slow_area = core.areas.slow
    assert slow_area.fees_to_ask(S) == (), "asked with the tick"
    first = slow_area.fees_to_ask(4 * S)
    assert len(first) == ASKED_MAX


def test_markets_are_bounded() -> None:
    markets = Markets()
    for number in range(50_010):
        markets.on_status(status(f"M{number}"))
    assert markets.terms("M0") is None
    assert markets.terms("M50009") is not None
    assert markets.on_status(status("M50009")) is not None

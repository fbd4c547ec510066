"""The disk of our state."""

from __future__ import annotations

from services.riskguard.core.effects import Log
from services.riskguard.core.slow.readings import DiskRead, Unread
from services.riskguard.core.slow.view import SlowView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import WIDE, slow
from tests.support.truth_builders import S

NAME = "disk_usage"
LIMITS = slow(disk_warn_e4=7_000, disk_high_e4=8_500, disk_used_e4=9_500, disk_free_mb_min=500)
MB = 1_000_000


def test_it_fires_at_either_edge_and_not_before() -> None:
    at_the_edge = SlowView(disk_used_e4=9_500, disk_free_bytes=500 * MB)
    assert check(NAME, View(slow=at_the_edge), LIMITS) is None
    by_share = check(NAME, View(slow=SlowView(disk_used_e4=9_501, disk_free_bytes=500 * MB)), LIMITS)
    assert by_share is not None
    assert (by_share.limit, by_share.was, by_share.is_latching) == (9_500, 9_501, False)
    by_room = check(NAME, View(slow=SlowView(disk_used_e4=1, disk_free_bytes=500 * MB - 1)), LIMITS)
    assert by_room is not None
    assert (by_room.limit, by_room.was) == (500, 499)


def test_a_full_disk_is_full_and_zero_allows_nothing() -> None:
    full = SlowView(disk_used_e4=10_000, disk_free_bytes=0)
    assert check(NAME, View(slow=full), WIDE) is None
    assert check(NAME, View(slow=SlowView(disk_used_e4=1)), slow(disk_used_e4=0)) is not None


def test_a_disk_that_fills_warns_twice_pauses_and_opens_when_there_is_room() -> None:
    core = running_guard(LIMITS)

    def look(used: int, second: int) -> int:
        core.on_slow(DiskRead(used * 1_000 * MB, (100 - used) * 1_000 * MB), second * S)
        effects = tick(core, second * S)
        assert halts(effects) == []
        return sum(isinstance(e, Log) and e.event_type == "RISK_WARNING" for e in effects)

    told = [look(used, number + 1) for number, used in enumerate((70, 71, 72, 85, 86, 87))]
    assert told == [0, 1, 0, 0, 1, 0]
    look(95, 8)
    assert NAME not in red(core)
    look(96, 9)
    assert NAME in red(core)
    core.on_slow(Unread("disk", "gone"), 10 * S)
    tick(core, 10 * S)
    assert NAME in red(core), "the last look counts"
    look(60, 11)
    assert NAME not in red(core)
    assert core.standing.view.slow.gauges(180)["disk_free_mb"] == 40_000

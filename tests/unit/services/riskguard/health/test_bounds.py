"""What is kept of heartbeats, starts and clocks has an end, whatever is heard."""

from __future__ import annotations

from typing import Any

from libs.common.kalshi.server_clock import ClockBounds
from services.riskguard.core.health.boots import Boots
from services.riskguard.core.health.clocks import Clocks
from services.riskguard.core.health.roll import Roll
from tests.support.guards import beat
from tests.support.truth_builders import MS, NOW_MS, S, epoch_event

MANY = 5_000
KEPT_MAX = 10_000
"""Bytes would say the same less plainly: so many things at most, for five thousand names heard."""


def kept(thing: Any) -> int:
    """Return how many things an object holds, through its containers and its own small objects."""
    if isinstance(thing, dict):
        return sum(1 + kept(value) for value in thing.values())
    if isinstance(thing, (list, tuple, set, frozenset)) or type(thing).__name__ == "deque":
        return sum(1 + kept(one) for one in thing)
    if type(thing).__module__.startswith("services."):
        names = getattr(thing, "__slots__", None) or vars(thing)
        return sum(kept(getattr(thing, name)) for name in names)
    return 0


def test_instances_of_any_name_are_bounded_and_the_newest_are_kept() -> None:
    roll, clocks = Roll(0), Clocks()
    clocks.on_tick(0, NOW_MS)
    for number in range(MANY):
        said = beat("strategy", 1, instance=f"i{number}", loop_lag_ms=number, sent_ms=NOW_MS)
        roll.on_beat(said, MS)
        clocks.on_beat(said, MS)
    assert kept(roll) + kept(clocks) < KEPT_MAX
    assert max(roll.lags_ms(MS).values()) == MANY - 1


def test_starts_of_any_service_are_bounded_and_still_too_many() -> None:
    boots = Boots(600_000)
    for number in range(MANY):
        boots.on_beat(beat("strategy", 1, run=f"r{number}"), number * MS)
        boots.on_beat(beat(f"service-{number}", 1), number * MS)
        boots.on_epoch(epoch_event(number, holder=f"e{number}"), NOW_MS)
    assert kept(boots) < KEPT_MAX
    counts = boots.counts(10 * S, NOW_MS)
    assert counts["strategy"] >= 50
    assert counts["executor"] >= 50


def test_clocks_keep_ten_seconds_of_themselves_and_half_a_minute_of_the_exchange() -> None:
    clocks = Clocks()
    for number in range(MANY):
        clocks.on_tick(number * 50 * MS, NOW_MS + number * 50)
        clocks.on_exchange_clock(ClockBounds(-MS, MS), number * 50 * MS)
    assert kept(clocks) < KEPT_MAX
    assert clocks.step_ms() == 0

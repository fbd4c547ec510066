"""A tier that is lowered: told at once, paused while senders read it, open after."""

from __future__ import annotations

from libs.common.kalshi.model import AccountLimits, Bucket
from services.riskguard.core.effects import Log
from services.riskguard.core.slow.readings import TierRead
from services.riskguard.core.slow.view import DAY_MS, SlowView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import WIDE, slow
from tests.support.slow_builders import at, limits_of
from tests.support.truth_builders import MS, S

NAME = "tier_downgrade"
LIMITS = slow(tier_warn_days=7, tier_settle_ms=10_000)


def test_it_fires_until_its_edge_and_not_after() -> None:
    assert check(NAME, View(), LIMITS) is None
    for since_ms, is_red in ((0, True), (9_999, True), (10_000, False)):
        fired = check(NAME, View(slow=SlowView(tier_settling_ms=since_ms)), LIMITS)
        assert (fired is not None) == is_red
    assert check(NAME, View(slow=SlowView(tier_settling_ms=0)), WIDE) is None, "zero is zero"


def test_less_than_before_is_told_as_critical_and_pauses_for_a_while() -> None:
    core = running_guard(LIMITS)
    assert core.on_slow(TierRead(limits_of()), S) == []
    tick(core, S)
    assert NAME not in red(core)
    (log,) = core.on_slow(TierRead(limits_of("basic", 100)), 2 * S)
    assert isinstance(log, Log)
    assert log.level == "CRITICAL"
    assert "premier became basic" in log.message
    assert halts(tick(core, 2 * S)) == []
    assert NAME in red(core)
    assert core.standing.view.slow.tier_share_e4 == 100 * 10_000 // 1_200
    assert core.on_slow(TierRead(limits_of("basic", 100)), 3 * S) == [], "no less than a moment ago"
    tick(core, 12 * S - MS)
    assert NAME in red(core)
    tick(core, 12 * S)
    assert NAME not in red(core)


def test_each_bucket_counts_and_more_is_no_reason() -> None:
    for less in (
        AccountLimits("premier", Bucket(1_199, 1_200), Bucket(1_200, 3_600)),
        AccountLimits("premier", Bucket(1_200, 1_199), Bucket(1_200, 3_600)),
        AccountLimits("premier", Bucket(1_200, 1_200), Bucket(1_199, 3_600)),
        AccountLimits("premier", Bucket(1_200, 1_200), Bucket(1_200, 3_599)),
    ):
        core = running_guard(LIMITS)
        core.on_slow(TierRead(limits_of()), S)
        core.on_slow(TierRead(less), 2 * S)
        tick(core, 2 * S)
        assert NAME in red(core)
        core = running_guard(LIMITS)
        core.on_slow(TierRead(less), S)
        core.on_slow(TierRead(limits_of()), 2 * S)
        tick(core, 2 * S)
        assert NAME not in red(core)


def test_a_tier_that_ends_is_warned_of_a_week_before() -> None:
    core = running_guard(LIMITS)
    core.on_slow(TierRead(limits_of(ends_days=30)), 0)

    def warned(ms: int) -> bool:
        return any(isinstance(e, Log) and "tier ends" in e.message for e in at(core, ms))

    assert not warned(23 * DAY_MS - 1)
    assert warned(23 * DAY_MS)
    assert not warned(24 * DAY_MS), "told once"
    assert core.standing.view.slow.gauges(180)["tier_days_left"] == 6

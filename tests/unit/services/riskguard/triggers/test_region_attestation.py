"""The location attestation: warned of, stopped before it lapses, open again when renewed."""

from __future__ import annotations

from services.riskguard.core.effects import Effect, Log
from services.riskguard.core.slow.view import DAY_MS, SlowView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard
from tests.support.riskguard_limits import WIDE, slow
from tests.support.slow_builders import at, keys
from tests.support.truth_builders import MS

NAME = "region_attestation"
LIMITS = slow(attestation_warn_days=14, attestation_stop_days=1)


def told(effects: list[Effect]) -> list[str]:
    return [e.message for e in effects if isinstance(e, Log) and e.event_type == "RISK_WARNING"]


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(slow=SlowView(region_left_ms=DAY_MS + 1)), LIMITS) is None
    fired = check(NAME, View(slow=SlowView(region_left_ms=DAY_MS)), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (1, 1, False)


def test_where_none_of_the_categories_is_quoted_it_is_told_only() -> None:
    spared = slow(attestation_required=False, attestation_warn_days=14, attestation_stop_days=1)
    assert check(NAME, View(slow=SlowView(region_left_ms=-1)), spared) is None
    core = running_guard(spared)
    core.on_slow(keys(-1.0), 0)
    assert len(told(at(core, 0))) == 1
    assert NAME not in red(core)


def test_zero_days_stop_when_it_has_lapsed() -> None:
    assert check(NAME, View(slow=SlowView(region_left_ms=1)), WIDE) is None
    assert check(NAME, View(slow=SlowView(region_left_ms=0)), WIDE) is not None


def test_through_the_weeks_it_warns_stops_is_renewed_and_opens() -> None:
    core = running_guard(LIMITS)
    core.on_slow(keys(30.0), 0)
    assert told(at(core, 0)) == []
    assert told(at(core, 16 * DAY_MS - 1)) == []
    assert len(told(at(core, 16 * DAY_MS))) == 1
    assert told(at(core, 16 * DAY_MS + 1)) == [], "told once while it stays"
    at(core, 29 * DAY_MS - 1)
    assert NAME not in red(core)
    assert core.permit((29 * DAY_MS - 1) * MS) == (True, ())
    assert halts(at(core, 29 * DAY_MS)) == []
    assert NAME in red(core)
    assert not core.permit(29 * DAY_MS * MS)[0]
    at(core, 40 * DAY_MS)
    assert NAME in red(core), "a lapsed one is no better"
    core.on_slow(keys(60.0), 40 * DAY_MS * MS)
    at(core, 40 * DAY_MS + 1)
    assert NAME not in red(core)
    assert core.permit((40 * DAY_MS + 1) * MS) == (True, ())


def test_an_account_that_never_attested_is_told_of_and_trades() -> None:
    core = running_guard(LIMITS)
    core.on_slow(keys(None), 0)
    (text,) = told(at(core, 0))
    assert "never attested" in text
    assert NAME not in red(core)

"""Credentials grow old by the time at which their files were written."""

from __future__ import annotations

import pytest

from services.riskguard.core.effects import Log
from services.riskguard.core.slow.readings import FilesRead
from services.riskguard.core.slow.view import DAY_MS, SlowView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard
from tests.support.riskguard_limits import slow
from tests.support.slow_builders import at
from tests.support.truth_builders import MS, NOW_MS

NAME = "credential_age"
LIMITS = slow(credential_warn_days=90, credential_days_max=180)


def test_it_fires_at_its_edge_and_not_before() -> None:
    ages = {"venue key": 180 * DAY_MS, "bus password": 1}
    assert check(NAME, View(slow=SlowView(credential_ages_ms=ages)), LIMITS) is None
    ages["venue key"] += 1
    fired = check(NAME, View(slow=SlowView(credential_ages_ms=ages)), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (180, 180, False)
    assert "venue key" in fired.text


def test_zero_is_zero() -> None:
    zero = slow(credential_days_max=0)
    assert check(NAME, View(slow=SlowView(credential_ages_ms={"venue key": 0})), zero) is None
    assert check(NAME, View(slow=SlowView(credential_ages_ms={"venue key": 1})), zero) is not None


@pytest.mark.parametrize("name", ["venue key", "bus password", "bus nkey"])
def test_through_the_months_it_warns_stops_is_replaced_and_opens(name: str) -> None:
    core = running_guard(LIMITS)
    core.on_slow(FilesRead({name: NOW_MS}), 0)
    at(core, 90 * DAY_MS)
    warned = at(core, 90 * DAY_MS + 1)
    assert [e.event_type for e in warned if isinstance(e, Log) and name in e.message] == ["RISK_WARNING"]
    at(core, 180 * DAY_MS)
    assert NAME not in red(core)
    assert halts(at(core, 180 * DAY_MS + 1)) == []
    assert NAME in red(core)
    assert not core.permit((180 * DAY_MS + 1) * MS)[0]
    core.on_slow(FilesRead({name: NOW_MS + 180 * DAY_MS}), (180 * DAY_MS + 1) * MS)
    at(core, 180 * DAY_MS + 2)
    assert NAME not in red(core)
    assert core.permit((180 * DAY_MS + 2) * MS) == (True, ())


def test_a_file_that_cannot_be_looked_at_is_told_of_and_has_no_age() -> None:
    core = running_guard(slow(credential_days_max=0))
    core.on_slow(FilesRead({"venue key": None, "bus password": NOW_MS + 5}), 0)
    effects = at(core, 1)
    assert any(isinstance(e, Log) and "cannot be looked at" in e.message for e in effects)
    assert NAME not in red(core), "written in the future is new"

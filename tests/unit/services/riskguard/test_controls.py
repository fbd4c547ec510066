"""Every trigger tells its limits, and no limit belongs to nobody."""

from __future__ import annotations

from libs.common.control.limits import flat
from services.riskguard.core.controls import READS, controls
from services.riskguard.core.triggers.base import Fired
from services.riskguard.core.triggers.registry import TRIGGERS
from tests.support.riskguard_limits import WIDE, limits

NO_TRIGGERS = {"trading_enabled"}
"""A switch of the permit itself."""


def test_every_trigger_is_named_and_every_limit_has_one() -> None:
    assert set(READS) == {trigger.name for trigger in TRIGGERS}
    assert {name for names in READS.values() for name in names} | NO_TRIGGERS == set(flat(WIDE))


def test_a_control_shows_the_number_of_now_and_whether_it_is_red() -> None:
    found = {
        one.name: one
        for one in controls(limits(position_e2=7), [Fired("position_limit", "t", 7, 8, is_latching=True)])
    }
    assert len(found) == len(TRIGGERS)
    assert found["position_limit"].limits == {"position_e2": 7}
    assert found["position_limit"].is_red
    assert found["position_limit"].kind == "latches"
    assert not found["daily_loss_limit"].is_red
    assert found["stale_books"].kind == "pauses"

"""Every trigger of the riskguard, provoked in running processes, closes the gate: in time, in its name."""

from __future__ import annotations

import functools

import pytest

from services.riskguard.core.triggers.base import Trigger
from services.riskguard.core.triggers.registry import TRIGGERS
from tests.controls.harness import perform, provocation_of
from tests.controls.table import Part, Table
from tests.controls.world import World

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.name)
def test_provoked_it_closes_the_gate(trigger: Trigger, world: World, table: Table) -> None:
    row = table.of_trigger(trigger, Part.SYSTEM)
    module = provocation_of(trigger.name)
    assert module is not None, f"tests/controls/provocations/{trigger.name}.py is there, is not"
    row.system_test = f"tests/controls/provocations/{trigger.name}.py"

    done = world.run(functools.partial(perform, trigger=trigger, module=module), 240)

    row.gate_closed_ms, row.bound_ms, row.measured_at = done.closed_ms, done.bound_ms, done.measured_at
    assert done.closed_ms <= done.bound_ms, f"closed within {done.bound_ms} ms, took {done.closed_ms} ms"

"""Every trigger of the riskguard: its unit file notices its loss, and provoked it closes the gate in time."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from libs.cli.places import ROOT
from services.riskguard.core.triggers.base import Trigger
from services.riskguard.core.triggers.registry import TRIGGERS
from tests.controls.harness import perform, provocation_of
from tests.controls.mutation import TRIGGER, Mutants
from tests.controls.table import LATCHES, PAUSES, Row, Table
from tests.controls.world import World

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
_EACH = pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.name)


@_EACH
def test_unplugged_it_fails_its_unit_file(trigger: Trigger, mutation: Mutants, table: Table) -> None:
    unit_file = Path("tests", "unit", "services", "riskguard", "triggers", f"test_{trigger.name}.py")
    row = _row(table, trigger)
    assert (ROOT / unit_file).is_file(), f"{trigger.name} has its unit file {unit_file}, has none"
    row.unit_test = unit_file.as_posix()

    verdict = mutation.verdict(TRIGGER, trigger.name, row.unit_test)

    row.mutation_caught = verdict.passes and verdict.fails_unplugged
    assert verdict.passes, f"{unit_file} passes, did not: {verdict.text}"
    assert verdict.fails_unplugged, f"{unit_file} fails without {trigger.name}, did not: {verdict.text}"


@_EACH
def test_provoked_it_closes_the_gate(trigger: Trigger, world: World, table: Table) -> None:
    row = _row(table, trigger)
    module = provocation_of(trigger.name)
    assert module is not None, f"tests/controls/provocations/{trigger.name}.py is there, is not"
    row.system_test = f"tests/controls/provocations/{trigger.name}.py"

    done = world.run(functools.partial(perform, trigger=trigger, module=module), 240)

    row.gate_closed_ms, row.bound_ms, row.measured_at = done.closed_ms, done.bound_ms, done.measured_at
    assert done.closed_ms <= done.bound_ms, f"closed within {done.bound_ms} ms, took {done.closed_ms} ms"


def _row(table: Table, trigger: Trigger) -> Row:
    return table.row(trigger.name, LATCHES if trigger.is_latching else PAUSES, trigger.text)

"""Every control, unplugged: its unit file passes with it and fails without it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from libs.cli.places import ROOT
from libs.common.risk.registry import RULES
from services.riskguard.core.triggers.base import Trigger
from services.riskguard.core.triggers.registry import TRIGGERS
from tests.controls.mutation import RULE, TRIGGER, Mutants
from tests.controls.table import Part, Row, Table

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

RULES_FILE: Final = "tests/unit/libs/common/risk/test_rules.py"


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.name)
def test_a_trigger_is_missed_by_its_unit_file(trigger: Trigger, mutation: Mutants, table: Table) -> None:
    unit_file = Path("tests", "unit", "services", "riskguard", "triggers", f"test_{trigger.name}.py")
    _is_missed(
        TRIGGER, trigger.name, unit_file.as_posix(), table.of_trigger(trigger, Part.MUTATION), mutation
    )


@pytest.mark.parametrize("name", list(RULES))
def test_a_rule_is_missed_by_its_unit_file(name: str, mutation: Mutants, table: Table) -> None:
    _is_missed(RULE, name, RULES_FILE, table.of_rule(name, Part.MUTATION), mutation)


def _is_missed(kind: str, name: str, unit_file: str, row: Row, mutation: Mutants) -> None:
    assert (ROOT / unit_file).is_file(), f"{name} has its unit file {unit_file}, has none"
    row.unit_test = unit_file

    verdict = mutation.verdict(kind, name, unit_file)

    row.mutation_caught = verdict.passes and verdict.fails_unplugged
    assert verdict.passes, f"{unit_file} passes, did not: {verdict.text}"
    assert verdict.fails_unplugged, f"{unit_file} fails without {name}, did not: {verdict.text}"

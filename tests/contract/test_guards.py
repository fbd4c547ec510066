"""The tables in docs/guards.md are the registries', its tests exist, and the files state every limit."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from libs.common.risk.limits import RiskLimits
from libs.common.risk.registry import RULES
from services.executor.config import Config
from services.riskguard.core.triggers.registry import TRIGGERS
from tools.generate_guards import PLUGGED_TEST, REFUSES_TEST, TARGET, render, rows, trigger_rows

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "deploy" / "config").glob("*/executor.toml"))


def test_table_of_rules_is_the_registrys() -> None:
    text = TARGET.read_text(encoding="utf-8")
    assert render(text) == text, "run `make docs`"
    assert all(f"| `{name}` |" in "\n".join(rows()) for name in RULES)


def test_table_of_triggers_is_the_registrys_and_each_has_its_proofs() -> None:
    table = "\n".join(trigger_rows())
    for trigger in TRIGGERS:
        assert f"| `{trigger.name}` |" in table
        unit = ROOT / "tests/unit/services/riskguard/triggers" / f"test_{trigger.name}.py"
        assert unit.is_file(), unit
        assert (ROOT / "tests/controls/provocations" / f"{trigger.name}.py").is_file(), trigger.name


def test_tests_that_the_table_names_exist() -> None:
    rules = (ROOT / "tests/unit/libs/common/risk/test_rules.py").read_text(encoding="utf-8")
    world = (ROOT / "tests/unit/services/executor/test_approval.py").read_text(encoding="utf-8")
    assert f"def {REFUSES_TEST}(" in rules
    assert f"def {PLUGGED_TEST}(" in world
    for name in RULES:
        assert f'Refusal("{name}"' in rules, name
        assert f'"{name}": (' in world, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_configuration_of_every_environment_states_every_limit_and_none_of_zero(path: Path) -> None:
    stated = tomllib.loads(path.read_text(encoding="utf-8"))["limits"]
    assert set(stated) == set(RiskLimits.__struct_fields__)
    assert all(value > 0 for value in stated.values())


@pytest.mark.parametrize("name", RiskLimits.__struct_fields__)
def test_limit_that_somebody_forgot_stops_the_start(name: str) -> None:
    stated = tomllib.loads(FILES[0].read_text(encoding="utf-8"))
    venue = {"rest_url": "u", "ws_url": "u", "key_id": "k", "key_file": "f"}
    assert msgspec.convert({**stated, "venue": venue}, Config).limits is not None
    del stated["limits"][name]
    with pytest.raises(msgspec.ValidationError, match=name):
        msgspec.convert({**stated, "venue": venue}, Config)

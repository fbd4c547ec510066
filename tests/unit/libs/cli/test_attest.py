"""What `dora attest` makes of answers, records and tests."""

from __future__ import annotations

import msgspec
import pytest

from libs.cli.attest import Line, Said, lines
from libs.cli.preflight.items import Control, control_key
from libs.common.messages.controls import ControlsV1, ControlV1
from libs.common.risk.registry import RULES

BUILD = "abc1234"


def trigger(name: str = "order_rate", **changes: object) -> ControlV1:
    made = ControlV1(name=name, kind="latches", text="t", limits={"orders_per_minute": 60}, is_red=False)
    return msgspec.structs.replace(made, **changes)


def a_test(name: str, kind: str, **changes: object) -> Control:
    made = Control(
        name=name,
        kind=kind,
        unit_test="tests/x.py",
        gate_closed_ms=120.0,
        bound_ms=1_000.0,
        mutation_caught=True,
        tested_at="2026-11-21T18:00:00Z",
        commit=BUILD,
    )
    return msgspec.structs.replace(made, **changes)


def said(*tests: Control, **changes: object) -> Said:
    controls = ControlsV1(
        account="main", controls=(trigger(),), owner="ann", owners={"gate.order_rate": "bob"}
    )
    fired = {"order_rate": "2026-11-21T17:00:00Z"}
    return Said(
        msgspec.structs.replace(controls, **changes), {"orders_per_s_max": 5}, fired, list(tests), BUILD
    )


def found(*tests: Control) -> dict[str, Line]:
    return {line.name: line for line in lines(said(*tests))}


def test_every_trigger_and_every_rule_is_listed_with_number_owner_and_last_firing() -> None:
    all_lines = found()
    assert set(all_lines) == {"order_rate", *(control_key(name, is_rule=True) for name in RULES)}
    assert all_lines["order_rate"].value == "orders_per_minute 60"
    assert all_lines["order_rate"].owner == "ann"
    assert all_lines["order_rate"].last_fired == "2026-11-21T17:00:00Z"
    rule = all_lines["gate.order_rate"]
    assert (rule.value, rule.owner, rule.last_fired) == ("orders_per_s_max 5", "bob", "")


def test_a_trigger_and_a_rule_of_one_name_do_not_share_a_test() -> None:
    all_lines = found(a_test("order_rate", "refuses"))
    assert not all_lines["gate.order_rate"].is_open
    assert all_lines["order_rate"].is_open
    assert all_lines["order_rate"].test_result == "never tested"


@pytest.mark.parametrize(
    ("changes", "is_open"),
    [
        ({}, False),
        ({"commit": "old"}, True),
        ({"gate_closed_ms": None}, True),
        ({"gate_closed_ms": 1_000.1}, True),
        ({"mutation_caught": False}, True),
        ({"mutation_caught": None}, True),
        ({"unit_test": None}, True),
    ],
)
def test_a_control_is_open_until_it_was_tested_whole_with_this_build(
    changes: dict[str, object], *, is_open: bool
) -> None:
    assert found(a_test("order_rate", "latches", **changes))["order_rate"].is_open is is_open


def test_without_a_table_everything_is_open() -> None:
    without = Said(said().controls, {}, {}, "nothing on record", BUILD)
    assert all(line.is_open for line in lines(without))

"""What an operator writes after ``--scope``, and when the command says that a halt is done."""

from __future__ import annotations

from typing import Any

import pytest

from libs.cli.control_app import limits_table
from libs.cli.operate import HaltLevel, halt, is_halt_verified, reach_of
from libs.common.bus.memory import MemoryBus
from libs.common.env import Env
from libs.common.messages.control import GateState, ScopeKind, parse_halt
from libs.common.messages.health import StatusV1
from libs.common.subjects import Subjects


@pytest.mark.parametrize(
    ("text", "reach"),
    [
        ("account", (ScopeKind.ACCOUNT, "")),
        ("shard:2", (ScopeKind.SHARD, "2")),
        ("market:KX-26:odd", (ScopeKind.MARKET, "KX-26:odd")),
    ],
)
def test_reach_is_a_kind_and_its_key(text: str, reach: tuple[ScopeKind, str]) -> None:
    assert reach_of(text) == reach


@pytest.mark.parametrize("text", ["", "market", "market:", "account:x", "everything", ":x"])
def test_reach_that_names_nothing_is_refused_and_halts_nothing_by_mistake(text: str) -> None:
    with pytest.raises(ValueError, match="one of account, shard:"):
        reach_of(text)


def test_levels_are_those_of_a_halt() -> None:
    assert {level.value for level in HaltLevel} <= {state.value for state in GateState}


async def test_halt_whose_reason_is_no_text_halts_all_the_same() -> None:
    bus = MemoryBus()
    await halt(bus, Subjects(Env.SIM), "fat finger \udcff", "ann\udc80")
    (stored,) = bus.broker.stored(Subjects(Env.SIM).of("ctl.halt", "operator"))
    assert parse_halt(stored.data).reason == "fat finger ?"


@pytest.mark.parametrize("until_ms", [None, 1_800_000_000_000, 10**15, 10**25, -(10**25)])
def test_limits_are_shown_whatever_the_end_of_a_change(until_ms: int | None) -> None:
    change = {"by": "ann", "reason": "r", "until_ms": until_ms}
    shown = {"all": [{"name": "position_e2", "value": 1, "cap": 2, "change": change}]}
    assert limits_table(shown).row_count == 1


def a_status(state: str, **gauges: float) -> StatusV1:
    fields: dict[str, Any] = {
        "service": "executor",
        "instance": "1",
        "run": "r",
        "env": "sim",
        "version": "v",
        "account": "main",
        "config_hash": "h",
        "uptime_s": 1,
        "is_ready": True,
        "state": state,
        "reasons": (),
        "counters": {},
        "gauges": {"resting_orders": 0.0, **gauges},
        "rss_mb": 1.0,
    }
    return StatusV1(**fields)


@pytest.mark.parametrize(
    ("status", "is_done"),
    [
        (a_status("halted", halt_verified=1.0, halt_gate_us=5.0), True),
        (a_status("halted", halt_verified=0.0, halt_gate_us=5.0), False),
        (a_status("running", halt_verified=1.0, halt_gate_us=5.0), False),
        (a_status("running", halt_verified=1.0, halt_gate_us=5.0, halts_scoped=1.0), True),
        (a_status("halted", halt_verified=0.0), True),
        (a_status("starting", halt_verified=0.0), False),
    ],
)
def test_halt_is_done_when_its_listing_was_empty(status: StatusV1, *, is_done: bool) -> None:
    assert is_halt_verified(status) is is_done

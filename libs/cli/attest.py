"""`dora attest`: every control with its numbers, its owner, when it last fired and how it was last tested.

What stops us is in two places: the riskguard's triggers halt or pause, the rules of the
executor's gate refuse single orders. Both are listed, from the running services, from
AUDIT, and from what `make test-controls` wrote. A control without a passed test of this
very build is open, and an open control is told by the exit code.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from rich.table import Table

from libs.cli.operate import OperationRefused
from libs.cli.preflight.items import REFUSES, Control, control_key
from libs.common.bus.api import Bus
from libs.common.messages.base import MalformedMessage, WireDecoder
from libs.common.messages.controls import ControlsV1
from libs.common.messages.execution import AuditExecV1
from libs.common.messages.risk import AuditRiskV1
from libs.common.risk.registry import RULES
from libs.common.subjects import Subjects

FIRED: Final = "trigger_fired"
"""The word of `AuditRiskV1.event_type` for a trigger that became red."""
_RISK: Final = WireDecoder(AuditRiskV1)
_EXEC: Final = WireDecoder(AuditExecV1)
_CONTROLS: Final = WireDecoder(ControlsV1)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One control as it is attested."""

    name: str
    kind: str
    text: str
    value: str
    """Its numbers now; empty where it knows none."""
    owner: str
    is_red: bool
    last_fired: str
    """When, by the stream's clock; empty: never on record."""
    last_test: str
    test_result: str
    mutation: str
    is_open: bool
    """Whether a passed test of this build is missing."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was gathered.

    Attributes:
        controls: The riskguard's answer.
        gate: The executor's limits by name.
        fired: When each control last fired, by `control_key`.
        tests: The table of tested controls, or why there is none.
        build: This checkout's.
    """

    controls: ControlsV1
    gate: Mapping[str, int]
    fired: Mapping[str, str]
    tests: Sequence[Control] | str
    build: str


async def ask(bus: Bus, subjects: Subjects) -> tuple[ControlsV1, dict[str, int], dict[str, str]]:
    """Return the riskguard's controls, the gate's limits, and when each control last fired.

    Raises:
        OperationRefused: An answer cannot be read.
        BusError: Somebody did not answer.
    """
    answer = await bus.request(subjects.of("svc", "riskguard", "controls"), b"")
    limits = await bus.request(subjects.of("svc", "executor", "limits"), b"")
    try:
        controls = _CONTROLS.decode(answer.data)
        gate = {
            str(one["name"]): int(one["value"])
            for one in msgspec.json.decode(limits.data, type=dict[str, Any])["limits"]
        }
    except (MalformedMessage, msgspec.DecodeError, KeyError, TypeError, ValueError) as e:
        raise OperationRefused(f"an answer that can be read, was: {e}") from None
    return controls, gate, await _fired(bus, subjects)


def lines(said: Said) -> Iterator[Line]:
    """Yield every control, the triggers first."""
    listed = () if isinstance(said.tests, str) else said.tests
    tests = {test.key: test for test in listed}
    for one in said.controls.controls:
        value = ", ".join(f"{name} {number}" for name, number in one.limits.items())
        yield _line(said, tests, one.name, one.kind, one.text, value, is_red=one.is_red)
    for name, rule in RULES.items():
        value = f"{rule.limit} {said.gate[rule.limit]}" if rule.limit in said.gate else ""
        text = rule.refuses.strip().partition("\n")[0]
        yield _line(said, tests, control_key(name, is_rule=True), REFUSES, text, value, is_red=False)


def _line(  # noqa: PLR0917 - one row of a table
    said: Said, tests: Mapping[str, Control], key: str, kind: str, text: str, value: str, *, is_red: bool
) -> Line:
    test = tests.get(key)
    is_whole = test is not None and test.is_tested
    is_of_this_build = test is not None and test.commit == said.build
    result = "never tested"
    if test is not None:
        took = "not provoked" if test.gate_closed_ms is None else f"{test.gate_closed_ms:.0f} ms"
        result = f"{'passed' if is_whole else 'NOT whole'}, {took}"
        result += "" if is_of_this_build else f", build {test.commit}"
    caught = None if test is None else test.mutation_caught
    return Line(
        name=key,
        kind=kind,
        text=text,
        value=value,
        owner=said.controls.owners.get(key, said.controls.owner),
        is_red=is_red,
        last_fired=said.fired.get(key, ""),
        last_test="" if test is None else test.tested_at,
        test_result=result,
        mutation={None: "", True: "caught", False: "NOT caught"}[caught],
        is_open=not (is_whole and is_of_this_build),
    )


def table(found: Sequence[Line]) -> Table:
    """Return the controls for a terminal."""
    shown = Table(header_style="bold", show_lines=False)
    for name in ("control", "", "value", "owner", "last fired", "last test", "unplugged"):
        shown.add_column(name, overflow="fold")
    for line in found:
        shown.add_row(
            f"{line.name}{' RED' if line.is_red else ''}",
            line.kind,
            line.value,
            line.owner,
            line.last_fired[:19] or "never",
            f"{line.test_result}{f' ({line.last_test[:10]})' if line.last_test else ''}",
            line.mutation or "-",
        )
    return shown


async def _fired(bus: Bus, subjects: Subjects) -> dict[str, str]:
    found: dict[str, str] = {}
    async for message in bus.read(subjects.all_of("audit.risk")):
        with contextlib.suppress(MalformedMessage):  # garbage is no record
            record = _RISK.decode(message.data)
            if record.event_type == FIRED:
                found[record.trigger] = message.stored_at
    async for message in bus.read(subjects.all_of("audit.exec")):
        with contextlib.suppress(MalformedMessage):
            refused = _EXEC.decode(message.data)
            if refused.rule in RULES:
                found[control_key(refused.rule, is_rule=True)] = message.stored_at
    return found

"""The table of all controls: what each does, how fast, and that its test would notice its loss."""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from libs.cli.places import ROOT
from libs.common.risk.registry import RULES
from services.riskguard.core.triggers.base import Trigger

OUT: Final = ROOT / "var" / "controls.json"
LATCHES, PAUSES, REFUSES = "latches", "pauses", "refuses"


class Part(enum.Enum):
    """What one test of a control fills: these cells, and no others."""

    SYSTEM = ("system_test", "gate_closed_ms", "bound_ms", "measured_at")
    MUTATION = ("unit_test", "mutation_caught")


class Row(msgspec.Struct, kw_only=True):
    """One control; None is an empty cell, and an empty cell is a failure.

    Attributes:
        name: The registry's word.
        kind: ``latches`` and ``pauses`` are the riskguard's triggers, ``refuses`` the gate's rules.
        text: What it means, for people.
        unit_test: The file that tests its edge.
        system_test: What provoked it in running processes.
        gate_closed_ms: Provoked → gate closed; for a rule: target said → order refused on record.
        bound_ms: What that may take.
        measured_at: ``gate`` or ``permit``: whose word the moment is.
        mutation_caught: Whether the unit file fails without it, and passes with it.
        tested_at: When, UTC.
        commit: Of what.
    """

    name: str
    kind: str
    text: str
    unit_test: str | None = None
    system_test: str | None = None
    gate_closed_ms: float | None = None
    bound_ms: int | None = None
    measured_at: str = "gate"
    mutation_caught: bool | None = None
    tested_at: str = ""
    commit: str = ""

    def empty_cells(self) -> list[str]:
        """Return the names of the cells without an answer."""
        cells = ("unit_test", "system_test", "gate_closed_ms", "bound_ms", "mutation_caught")
        return [name for name in cells if getattr(self, name) is None]


class Written(msgspec.Struct, kw_only=True):
    """``var/controls.json``."""

    tested_at: str = ""
    commit: str = ""
    controls: list[Row] = []


Key = tuple[str, bool]
"""A control's name and whether it is a rule: a trigger and a rule may share a name."""


class Table:
    """The rows of one session, and which of their parts it tested."""

    def __init__(self) -> None:
        self.controls: list[Row] = []
        self._rows: dict[Key, Row] = {}
        self._tested: set[tuple[Key, Part]] = set()

    def of_trigger(self, trigger: Trigger, part: Part) -> Row:
        """Return a trigger's row, to fill the cells of one part."""
        kind = LATCHES if trigger.is_latching else PAUSES
        return self._row((trigger.name, False), kind, trigger.text, part)

    def of_rule(self, name: str, part: Part) -> Row:
        """Return a rule's row, to fill the cells of one part."""
        return self._row((name, True), REFUSES, " ".join(RULES[name].refuses.split()), part)

    def write(self, everything: Iterable[Key], commit: str, path: Path = OUT) -> None:
        """Write a row for each of these controls: what was tested now, and of an older table what was not.

        What was tested now and failed stays empty, whatever an older table says. A row with anything old
        in it bears the old time and commit.
        """
        now, older = now_text(), _older(path)
        for key, row in self._rows.items():
            row.tested_at, row.commit = now, commit
            if (before := older.get(key)) is not None:
                self._keep(key, row, before)
        found = older | self._rows
        self.controls = [found[key] for key in everything if key in found]
        path.parent.mkdir(parents=True, exist_ok=True)
        written = Written(tested_at=now, commit=commit, controls=self.controls)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n")

    def lines(self) -> list[str]:
        """Return the table for a terminal, as it was written."""
        head = ("control", "", "closed ms", "of ms", "at", "mutation", "unit file")
        rows = [head] + [
            (
                row.name,
                row.kind,
                _cell(row.gate_closed_ms),
                _cell(row.bound_ms),
                row.measured_at,
                {True: "caught", False: "NOT CAUGHT", None: "-"}[row.mutation_caught],
                row.unit_test or "-",
            )
            for row in self.controls
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        texts = ["what it means", *(row.text for row in self.controls)]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + f"  {text}"
            for row, text in zip(rows, texts, strict=True)
        ]

    def _row(self, key: Key, kind: str, text: str, part: Part) -> Row:
        self._tested.add((key, part))
        return self._rows.setdefault(key, Row(name=key[0], kind=kind, text=text))

    def _keep(self, key: Key, row: Row, before: Row) -> None:
        for part in Part:
            if (key, part) not in self._tested:
                for cell in part.value:
                    setattr(row, cell, getattr(before, cell))
                row.tested_at, row.commit = before.tested_at, before.commit


def now_text() -> str:
    """Return the wall clock, UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _older(path: Path) -> dict[Key, Row]:
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=Written).controls
    except (OSError, msgspec.DecodeError):
        return {}
    return {(row.name, row.kind == REFUSES): row for row in rows}


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"

"""The table of all controls: what each does, how fast, and that its test would notice its loss."""

from __future__ import annotations

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


class Table(msgspec.Struct, kw_only=True):
    """``var/controls.json``."""

    tested_at: str = ""
    commit: str = ""
    controls: list[Row] = []

    def row(self, name: str, kind: str, text: str) -> Row:
        """Return a control's row, new where there is none."""
        for row in self.controls:
            if (row.name, row.kind == REFUSES) == (name, kind == REFUSES):
                return row
        self.controls.append(Row(name=name, kind=kind, text=text))
        return self.controls[-1]

    def of_trigger(self, trigger: Trigger) -> Row:
        """Return a trigger's row."""
        return self.row(trigger.name, LATCHES if trigger.is_latching else PAUSES, trigger.text)

    def of_rule(self, name: str) -> Row:
        """Return a rule's row."""
        return self.row(name, REFUSES, " ".join(RULES[name].refuses.split()))

    def write(self, names: Iterable[tuple[str, bool]], commit: str, path: Path = OUT) -> None:
        """Write these rows, and of an older table what was not tested this time and still exists.

        ``names`` are all controls there are: name, and whether it is a rule.
        """
        known = list(names)
        self.tested_at, self.commit = now_text(), commit
        mine = {(row.name, row.kind == REFUSES): row for row in self.controls}
        for row in self.controls:
            row.tested_at, row.commit = self.tested_at, commit
        for row in _older(path):
            mine.setdefault((row.name, row.kind == REFUSES), row)
        self.controls = [mine[key] for key in known if key in mine]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    def lines(self) -> list[str]:
        """Return the table for a terminal."""
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


def now_text() -> str:
    """Return the wall clock, UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _older(path: Path) -> list[Row]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Table).controls
    except (OSError, msgspec.DecodeError):
        return []


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"

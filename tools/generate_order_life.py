"""Write docs/order-life.md from the executor's transition table; ``--check`` only compares.

python -m tools.generate_order_life           writes
python -m tools.generate_order_life --check   exits 1 when the file is not what the table says
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

from libs.common.messages.execution import OrderState
from services.executor.core.order_life import IN_FLIGHT, MEANINGS, TERMINAL, TRANSITIONS, Evidence
from tools.generated import write_or_compare

TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "order-life.md"
_ORIGIN: Final = (
    "Written by `python -m tools.generate_order_life` from"
    " `services/executor/core/order_life.py`; do not edit."
)
_RULES: Final = (
    "A pair that is not in the table changes nothing: that is how late, repeated and reordered evidence is"
    " accepted. On top of it stands one rule that no state escapes: the count of what was filled never"
    " falls, and a resting order filled to its total is executed. What an order may still fill is counted"
    " at its worst in every state but the three ends, and fills told but not booked in those too. Why it"
    " is so, and what was rejected: [ADR 0014](adr/0014-evidence-and-hand-over.md)."
)


def render() -> str:
    """Return the document."""
    return "\n".join((*_head(), *_diagram(), *_states(), *_evidence(), *_rows(), ""))


def _head() -> list[str]:
    return ["# The life of an order", "", _ORIGIN, "", _RULES, ""]


def _diagram() -> list[str]:
    edges: dict[tuple[OrderState, OrderState], list[str]] = defaultdict(list)
    for (state, evidence), to in TRANSITIONS.items():
        if state is not to:
            edges[state, to].append(evidence.value)
    lines = [
        f"    {state.value} --> {to.value}: {', '.join(words)}"
        for state in OrderState
        for to in OrderState
        if (words := edges.get((state, to)))
    ]
    ends = [f"    {state.value} --> [*]" for state in OrderState if state in TERMINAL]
    start = f"    [*] --> {OrderState.PLANNED.value}"
    return ["## Drawn", "", "```mermaid", "stateDiagram-v2", start, *lines, *ends, "```", ""]


def _states() -> list[str]:
    rows = []
    for state in OrderState:
        kind = "in flight" if state in IN_FLIGHT else "end" if state in TERMINAL else "open"
        rows.append(f"| {state.value} | {kind} | {MEANINGS[state]} |")
    return [
        "## States",
        "",
        "A side with an order in flight gets no action; a market with an unknown order takes no new create.",
        "",
        "| state | kind | what it means |",
        "|---|---|---|",
        *rows,
        "",
    ]


def _evidence() -> list[str]:
    rows = [f"| {evidence.value} | {MEANINGS[evidence]} |" for evidence in Evidence]
    return ["## Evidence", "", "| evidence | what it means |", "|---|---|", *rows, ""]


def _rows() -> list[str]:
    states = list(OrderState)
    head = "| evidence | " + " | ".join(re.sub("_", " ", state.value) for state in states) + " |"
    rows = []
    for evidence in Evidence:
        to = [TRANSITIONS.get((state, evidence)) for state in states]
        cells = [one.value.replace("_", " ") if one is not None else "" for one in to]
        rows.append(f"| {evidence.value} | {' | '.join(cells)} |")
    return [
        "## The table",
        "",
        "Across: the state before. An empty cell changes nothing.",
        "",
        head,
        "|---" * (len(states) + 1) + "|",
        *rows,
    ]


def main(arguments: list[str]) -> int:
    """Write or compare; return the exit code."""
    return write_or_compare(TARGET, render(), arguments, "tools.generate_order_life")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Write the tables of rules and triggers into docs/guards.md from their registries.

One source, so that no document lags behind it.

python -m tools.generate_guards           writes
python -m tools.generate_guards --check   exits 1 when a table is not what its registry says
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from libs.common.risk.registry import RULES, Entry
from services.riskguard.core.controls import READS
from services.riskguard.core.triggers.base import Trigger
from services.riskguard.core.triggers.registry import TRIGGERS
from tools.generated import write_or_compare

TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "guards.md"
BEGIN: Final = (
    "<!-- begin: written by `python -m tools.generate_guards` from libs/common/risk/registry.py -->"
)
END: Final = "<!-- end -->"
TRIGGERS_BEGIN: Final = (
    "<!-- begin: written by `python -m tools.generate_guards` from services/riskguard/core/triggers -->"
)
REFUSES_TEST: Final = "test_unplugged_rule_lets_through_what_only_it_refuses"
PLUGGED_TEST: Final = "test_every_rule_is_plugged_in"
_FIXED: Final = "none: the market or our own orders set it"


def rows() -> list[str]:
    """Return the table, one row a rule, in the order in which they are asked."""
    head = ["| rule | limit | refusals count in | what it does | shown by |", "|---|---|---|---|---|"]
    return [*head, *(_row(name, entry) for name, entry in RULES.items())]


def _row(name: str, entry: Entry) -> str:
    limit = f"`{entry.limit}`" if entry.limit else _FIXED
    refuses = entry.refuses.partition("\n")[0]
    shown = f"`{REFUSES_TEST}[{name}]`, `{PLUGGED_TEST}[{name}]`"
    return f"| `{name}` | {limit} | {entry.unit} | {refuses} | {shown} |"


def trigger_rows() -> list[str]:
    """Return the table, one row a trigger, in the order in which they are told."""
    head = ["| trigger | when it is red | limits | says |", "|---|---|---|---|"]
    return [*head, *(_trigger_row(trigger) for trigger in TRIGGERS)]


def _trigger_row(trigger: Trigger) -> str:
    what = "halts" if trigger.is_latching else "closes the permit until it is over"
    limits = ", ".join(f"`{name}`" for name in READS[trigger.name]) or "timing of the service"
    return f"| `{trigger.name}` | {what} | {limits} | {trigger.text} |"


def render(text: str) -> str:
    """Return the document with its tables written anew."""
    return _with(_with(text, BEGIN, rows()), TRIGGERS_BEGIN, trigger_rows())


def _with(text: str, begin: str, table: list[str]) -> str:
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(END)
    return "\n".join((before + begin, "", *table, "", END + after))


def main(arguments: list[str]) -> int:
    """Write or compare; return the exit code."""
    wanted = render(TARGET.read_text(encoding="utf-8"))
    return write_or_compare(TARGET, wanted, arguments, "tools.generate_guards")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

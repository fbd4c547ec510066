"""Write the table of risk rules into docs/guards.md from the registry; ``--check`` only compares.

python -m tools.generate_guards           writes
python -m tools.generate_guards --check   exits 1 when the table is not what the registry says
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from libs.common.risk.registry import RULES, Entry
from tools.generated import write_or_compare

TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "guards.md"
BEGIN: Final = (
    "<!-- begin: written by `python -m tools.generate_guards` from libs/common/risk/registry.py -->"
)
END: Final = "<!-- end -->"
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


def render(text: str) -> str:
    """Return the document with its table written anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join((before + BEGIN, "", *rows(), "", END + after))


def main(arguments: list[str]) -> int:
    """Write or compare; return the exit code."""
    wanted = render(TARGET.read_text(encoding="utf-8"))
    return write_or_compare(TARGET, wanted, arguments, "tools.generate_guards")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Write a generated document, or compare it with what stands there (`--check`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def write_or_compare(target: Path, wanted: str, arguments: Sequence[str], module: str) -> int:
    """Return the exit code: 1 where `--check` finds that the document is not what its source says."""
    if "--check" not in arguments:
        target.write_text(wanted, encoding="utf-8")
        return 0
    if target.exists() and target.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{target.name} is not what its source says: run python -m {module}", file=sys.stderr)
    return 1

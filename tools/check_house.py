"""House rules that neither ruff, mypy nor import-linter can say.

- Every service has the files that design section 6 names, and its README answers five questions.
- ``except Exception`` lives at a task's outermost frame or an endpoint's edge: each carries its reason.
- Nothing that talks to the venue knows how to reset an order group (design rule 4).
- No module is called utils, helpers or manager, and none grows past 900 lines.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SERVICES = ("executor", "marketdata", "reconciler", "riskguard", "simexchange", "strategy")
SERVICE_FILES = (
    "README.md",
    "__main__.py",
    "config.py",
    "wiring.py",
    "core/__init__.py",
    "shell/__init__.py",
)
README_WORDS = ("purpose", "inputs", "outputs", "state", "dies")
FORBIDDEN_NAMES = re.compile(r"(^|_)(utils?|helpers?|manager)(_|$)")
LINES_MAX = 900
_RESET_PATH = re.compile(r"^reset$|/reset\b")
_RESET_NAME = re.compile(r"reset\w*group|group\w*reset")


def python_files() -> Iterator[Path]:
    """Yield our own modules."""
    for root in ("libs", "services", "tools", "bench"):
        yield from sorted(Path(root).rglob("*.py"))


def check_services() -> Iterator[str]:
    """Yield what a service lacks."""
    for name in SERVICES:
        folder = Path("services", name)
        for file in SERVICE_FILES:
            if not (folder / file).exists():
                yield f"{folder / file}: expected, was missing"
        readme = folder / "README.md"
        if readme.exists():
            text = readme.read_text(encoding="utf-8").lower()
            for word in README_WORDS:
                if word not in text:
                    yield f"{readme}: says nothing of '{word}'"


def check_names() -> Iterator[str]:
    """Yield modules whose name says nothing, or that hold more than one noun."""
    for path in python_files():
        if FORBIDDEN_NAMES.search(path.stem):
            yield f"{path}: a noun of the trade as name, was {path.stem}"
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > LINES_MAX:
            yield f"{path}: at most {LINES_MAX} lines, was {lines}"


def check_broad_excepts() -> Iterator[str]:
    """Yield broad excepts without a reason on their line."""
    for path in python_files():
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if not isinstance(node, ast.ExceptHandler) or not _is_broad(node.type):
                continue
            if isinstance(node.body[-1], ast.Raise):  # cleans up and passes it on
                continue
            line = lines[node.lineno - 1]
            # ruff itself lets a handler pass that logs the exception, so the reason is any comment there.
            if "  # " not in line or ("noqa" in line and "BLE001 - " not in line):
                yield f"{path}:{node.lineno}: except Exception with its reason, was {line.strip()!r}"


def check_resets() -> Iterator[str]:
    """Yield what could reset an order group: a triggered one stays triggered, whoever asks (ADR 0005)."""
    for path in python_files():
        if path.parts[:2] == ("services", "simexchange") or path.parts[0] == "tools":
            continue
        yield from (f"{path}:{line}: no reset of an order group, was {what!r}" for line, what in resets(path))


def resets(path: Path) -> list[tuple[int, str]]:
    """Return line and text of every name and every part of a path that says reset of a group."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            what, is_reset = node.value, _RESET_PATH.search(node.value) is not None
        elif isinstance(node, ast.Name | ast.Attribute | ast.FunctionDef | ast.AsyncFunctionDef):
            what = node.id if isinstance(node, ast.Name) else getattr(node, "attr", getattr(node, "name", ""))
            is_reset = _RESET_NAME.search(what) is not None
        else:
            continue
        if is_reset:
            found.append((node.lineno, what))
    return found


def _is_broad(kind: ast.expr | None) -> bool:
    return kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"})


def main() -> int:
    """Print every breach; return 1 if there is one."""
    problems = [*check_services(), *check_names(), *check_broad_excepts(), *check_resets()]
    for problem in problems:
        print(problem)
    if not problems:
        print("house rules hold")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""Everything that `make test` runs, one after the other, with one closing line.

A failing check does not hide the ones after it. Tests that start all services
run alone, because their timings mean something; the others share the cores.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from libs.cli.preflight import records
from libs.common.runtime.log import bot_version

PYTHON = sys.executable
BIN = Path(PYTHON).parent
REPORTS = Path("var/tests")
_SHARED = ("unit", "property", "contract", "replay", "component")
_FORKING = ("faults",)
"""Uses every core by itself."""
_CONTROLS = ("controls",)
"""One world for all triggers; prints a table and writes var/controls.json."""
_ALONE = ("system",)


@dataclass(frozen=True)
class Step:
    """One check."""

    name: str
    command: tuple[str, ...]


def checks() -> list[Step]:
    """Return the checks that are not tests."""
    return [
        Step("format", (str(BIN / "ruff"), "format", "--check", ".")),
        Step("lint", (str(BIN / "ruff"), "check", ".")),
        Step("house rules", (PYTHON, "-m", "tools.check_house")),
        Step("requirements", (PYTHON, "-m", "tools.check_requirements")),
        Step("generated documents", (PYTHON, "-m", "tools.generate_subjects", "--check")),
        Step("order life drawn", (PYTHON, "-m", "tools.generate_order_life", "--check")),
        Step("imports", (str(BIN / "lint-imports"), "--no-logo")),
        Step("types", (str(BIN / "mypy"),)),
    ]


def pytest_step(name: str, folders: tuple[str, ...], *extra: str) -> Step:
    """Return one run of pytest over the folders that exist."""
    found = [f"tests/{folder}" for folder in folders if Path("tests", folder).is_dir()]
    report = REPORTS / f"{name}.xml"
    report.unlink(missing_ok=True)
    return Step(name, (PYTHON, "-m", "pytest", "-q", f"--junitxml={report}", *extra, *found))


def counted(report: Path) -> dict[str, int]:
    """Return passed, failed and skipped of a JUnit report; an unreadable one counts as a failure."""
    try:
        suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 - written by pytest a moment ago
    except (OSError, ET.ParseError):
        return {"passed": 0, "failed": 1, "skipped": 0}
    total = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite in suites:
        for key in total:
            total[key] += int(suite.get(key, "0"))
    failed = total["failures"] + total["errors"]
    return {
        "passed": max(0, total["tests"] - failed - total["skipped"]),
        "failed": failed,
        "skipped": total["skipped"],
    }


def run(step: Step) -> bool:
    """Run one step and say how it went."""
    print(f"--- {step.name}: {shown(step.command)}", flush=True)
    began_s = time.monotonic()
    code = subprocess.run(step.command, check=False).returncode
    print(f"--- {step.name}: {'ok' if code == 0 else f'FAILED ({code})'}, ", end="")
    print(f"{time.monotonic() - began_s:.1f} s", flush=True)
    return code == 0


def shown(command: tuple[str, ...]) -> str:
    """Return the command as one would type it."""
    return " ".join(re.sub(r"^.*/\.venv/bin/", "", part) for part in command)


def main() -> int:
    """Run everything; return 1 if anything failed."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PYTHONPATH", ".")
    failed = [step.name for step in checks() if not run(step)]
    workers = str(min(4, max(2, os.cpu_count() or 2)))
    tests = [
        pytest_step("tests", _SHARED, "-n", workers, "--durations=10"),
        pytest_step("faults", _FORKING, "-s"),
        pytest_step("controls", _CONTROLS),
        pytest_step("system", _ALONE, "--durations=10"),
    ]
    failed += [step.name for step in tests if not run(step)]
    counts = [counted(REPORTS / f"{step.name}.xml") for step in tests]
    total = {key: sum(count[key] for count in counts) for key in ("passed", "failed", "skipped")}
    if failed:
        print(f"failed: {', '.join(failed)}")
    line = f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped"
    keep(line, is_whole=not failed and not total["failed"] and not total["skipped"])
    print(line)
    return 1 if failed else 0


def keep(line: str, *, is_whole: bool) -> None:
    """Put the result on record for `dora preflight`; a changed tree proves nothing of its commit."""
    changed = subprocess.run(
        ("git", "status", "--porcelain"), capture_output=True, text=True, check=False
    ).stdout.strip()
    records.write(
        Path("var"),
        records.Record(
            what="tests",
            build=bot_version(os.environ),
            at_ms=time.time_ns() // 1_000_000,
            is_passed=is_whole and not changed,
            evidence=line + (", of a changed tree" if changed else ""),
        ),
    )


if __name__ == "__main__":
    sys.exit(main())

"""The targets that the README and the issue name exist, say what they do, and stay short."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = dict(re.findall(r"^([a-z-]+):.*?## (.+)$", MAKEFILE, re.MULTILINE))


@pytest.mark.parametrize(
    "name",
    ["help", "setup", "demo", "test", "ci", "fmt", "lint", "type", "arch", "bench", "lock", "docs"],
)
def test_a_target_exists_and_says_what_it_does(name: str) -> None:
    assert TARGETS[name]


def test_no_target_has_more_than_two_commands() -> None:
    for block in re.split(r"\n(?=[a-z.-]+:)", MAKEFILE)[1:]:
        commands = [line for line in block.splitlines() if line.startswith("\t")]
        assert len(commands) <= 2, block


def test_every_test_folder_is_in_the_whole_run() -> None:
    run = (ROOT / "tools" / "run_tests.py").read_text(encoding="utf-8")
    with_tests = {
        path.parent.relative_to(ROOT / "tests").parts[0] for path in ROOT.glob("tests/*/**/test_*.py")
    }

    for folder in with_tests:
        assert f'"{folder}"' in run, folder


@pytest.mark.parametrize("path", [".ci/run", "bin/dora", "tools/environment.sh"])
def test_scripts_can_be_run(path: str) -> None:
    assert (ROOT / path).stat().st_mode & stat.S_IXUSR

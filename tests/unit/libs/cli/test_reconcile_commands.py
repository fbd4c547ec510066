"""`dora reconcile`, `dora orphans` and `dora tables`: what they refuse, and with which words."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from libs.cli.__main__ import app
from libs.cli.tables import TABLES

runner = CliRunner()


@pytest.fixture(autouse=True)
def own_var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_VAR", str(tmp_path))
    monkeypatch.delenv("DORA_ENV", raising=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["reconcile"],
        ["orphans"],
        ["orphans", "resolve", "o1", "--action", "FALSE_POSITIVE", "--reason", "a test"],
        ["tables", "trade-audits"],
    ],
)
def test_without_a_running_dora_it_says_so(arguments: list[str]) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert "dora up" in result.output


def test_a_table_that_is_none_names_those_that_are() -> None:
    result = runner.invoke(app, ["tables", "nonsense"])
    assert result.exit_code == 2
    for name in TABLES:
        assert name in result.output


def test_a_resolution_needs_an_action_and_a_reason() -> None:
    assert runner.invoke(app, ["orphans", "resolve", "o1", "--action", "AUTO_CLOSE"]).exit_code == 2
    assert runner.invoke(app, ["orphans", "resolve", "o1", "--reason", "x"]).exit_code == 2

"""What the command line refuses, and with which words."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from libs.cli.__main__ import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def own_var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_VAR", str(tmp_path))
    for name in ("DORA_ENV", "DORA_VENUE_REST_URL", "DORA_VENUE_WS_URL", "DEMO_KEYID", "DEMO_KEYFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["up", "--env", "live"], ["fresh preflight", "--confirm", "--venue-rest"]),
        (["up", "--env", "paper"], ["paper is refused"]),
        (["up", "--env", "demo"], ["--venue-rest", "DEMO_KEYID"]),
        (["up", "--env", "demo", "--venue-rest", "http://127.0.0.1:1"], ["--venue-ws", "missing"]),
        (["demo", "--tape", "nowhere"], ["--tape", "nowhere"]),
        (["sim", "--tape", "nowhere"], ["--tape", "nowhere"]),
        (["up", "--config", "nowhere"], ["--config"]),
        (["up", "--env", "mars"], ["mars"]),
    ],
)
def test_a_refusal_says_what_is_missing_and_exits_two(arguments: list[str], words: list[str]) -> None:
    result = runner.invoke(app, arguments)

    assert result.exit_code == 2, result.output
    for word in words:
        assert word in result.output


def test_a_key_file_that_is_not_there_is_named() -> None:
    venue = ["--venue-rest", "http://x", "--venue-ws", "ws://x", "--venue-key-id", "k"]

    result = runner.invoke(app, ["up", "--env", "demo", *venue, "--venue-key-file", "/no/such.pem"])

    assert result.exit_code == 2
    assert "/no/such.pem" in result.output


def test_another_venue_and_a_tape_exclude_each_other(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("x")
    venue = ["--venue-rest", "http://x", "--venue-ws", "ws://x", "--venue-key-id", "k"]

    result = runner.invoke(app, ["up", *venue, "--venue-key-file", str(key), "--tape", str(tmp_path)])

    assert result.exit_code == 2
    assert "--tape" in result.output


@pytest.mark.parametrize("command", ["status", "orders", "halt", "resume", "down", "env", "init"])
def test_a_command_without_a_running_dora_says_so(command: str) -> None:
    result = runner.invoke(app, [command])

    assert result.exit_code == 1
    assert "nothing runs" in result.output

"""The commands, as a person types them: what they keep, what they refuse, what `live` makes of it."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from libs.cli.__main__ import app
from libs.cli.preflight.items import Report
from libs.cli.preflight.records import Record, is_signed

runner = CliRunner()
KEY = Ed25519PrivateKey.generate()


@pytest.fixture(autouse=True)
def own_var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DORA_VAR", str(tmp_path))
    monkeypatch.setenv("BOT_VERSION", "abc1234")
    for name in ("DORA_ENV", "PROD_KEYID", "PROD_KEYFILE", "DORA_VENUE_REST_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "ann.pem"
    path.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return path


def kept(path: Path) -> Record:
    return msgspec.json.decode(path.read_bytes(), type=Record)


def test_with_nothing_running_it_prints_ten_items_keeps_them_and_exits_one(tmp_path: Path) -> None:
    result = runner.invoke(app, ["preflight", "--json"])

    assert result.exit_code == 1
    file = tmp_path / "preflight" / "live.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    assert msgspec.json.decode(result.stdout, type=Report) == report
    assert [item.number for item in report.items] == list(range(1, 11))
    passed = [item.name for item in report.items if item.is_passed]
    assert passed == ["stop procedure documented"]


def test_what_a_person_saw_is_kept_with_the_name(tmp_path: Path) -> None:
    result = runner.invoke(app, ["record", "backup", "restored into a second server", "--by", "ann"])

    assert result.exit_code == 0, result.output
    record = kept(tmp_path / "records" / "backup.json")
    assert (record.by, record.build, record.is_passed) == ("ann", "abc1234", True)
    assert runner.invoke(app, ["record", "backup", "it did not", "--failed"]).exit_code == 0
    assert not kept(tmp_path / "records" / "backup.json").is_passed


@pytest.mark.parametrize("arguments", [["tests", "trust me"], ["client", "trust me"], ["backup", " "]])
def test_a_program_or_a_signature_cannot_be_replaced_by_a_word(arguments: list[str]) -> None:
    assert runner.invoke(app, ["record", *arguments]).exit_code == 2


def test_an_approval_is_signed_over_build_and_configuration(tmp_path: Path, key_file: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "executor.toml").write_text("a = 1\n")
    arguments = ["client", "--key", str(key_file), "--reason", "watched a week", "--config", str(folder)]

    assert runner.invoke(app, ["approve", *arguments, "--by", "ann"]).exit_code == 0
    first = kept(tmp_path / "records" / "client.json")
    assert is_signed(first, KEY.public_key())

    (folder / "executor.toml").write_text("a = 2\n")
    assert runner.invoke(app, ["approve", *arguments]).exit_code == 0
    assert kept(tmp_path / "records" / "client.json").config != first.config


def test_an_approval_needs_a_private_ed25519_key(tmp_path: Path, key_file: Path) -> None:
    arguments = ["client", "--reason", "r", "--key", str(key_file)]
    key_file.chmod(0o644)
    assert "0600" in runner.invoke(app, ["approve", *arguments]).output
    key_file.chmod(0o600)
    key_file.write_text("no key")
    assert runner.invoke(app, ["approve", *arguments]).exit_code == 2
    assert runner.invoke(app, ["approve", "friend", *arguments[1:]]).exit_code == 2
    assert not (tmp_path / "records").exists()


def test_live_names_a_key_that_others_can_read(key_file: Path) -> None:
    key_file.chmod(0o640)
    venue = ["--venue-rest", "http://x", "--venue-ws", "ws://x", "--venue-key-id", "k"]
    result = runner.invoke(app, ["up", "--env", "live", *venue, "--venue-key-file", str(key_file)])
    assert result.exit_code == 2
    assert "a private venue key" in result.output
    assert "0640" in result.output
    assert "a fresh preflight: none was made" in result.output

"""Keys of people, and what they sign."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from libs.cli import signers
from libs.cli.__main__ import app
from libs.common.control.settings import Control
from libs.common.control.signing import signed_bytes
from libs.common.env import Env
from libs.common.messages.control import ResumeV1
from tests.support.resumes import a_raise, a_resume, now_ms

runner = CliRunner()


def key_of(folder: Path, name: str) -> tuple[Path, str]:
    path = folder / f"{name}.json"
    line = signers.make(name, path)
    assert line.startswith(f'{name} = "')
    return path, line.partition('"')[2].rstrip('"')


def test_new_key_is_its_owners_alone_and_never_written_over(tmp_path: Path) -> None:
    path, public = key_of(tmp_path, "ann")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["private_key"] not in public
    with pytest.raises(signers.KeyRefused, match="new file"):
        signers.make("ann", path)
    for name in ("", "a:b", "a b", "x" * 65):
        with pytest.raises(signers.KeyRefused, match="name"):
            signers.make(name, tmp_path / "other")


def test_two_people_sign_an_offer_with_the_command_and_it_counts(tmp_path: Path) -> None:
    people = {name: key_of(tmp_path, name) for name in ("ann", "bob")}
    resume = a_resume(7)
    offer = tmp_path / "offer.json"
    offer.write_bytes(msgspec.json.encode(signers.Offered(resume=resume)))
    signatures = []
    for path, _ in people.values():
        told = runner.invoke(app, ["sign", str(offer), "--key", str(path)])
        assert told.exit_code == 0, told.output
        assert "halt sequence: 7" in told.stderr, "people see what they sign"
        signatures.append(told.stdout.strip())
    control = Control(signers={name: public for name, (_, public) in people.items()}, signatures_required=2)
    verifier = control.verifier(Env.SIM, "main")
    signed = msgspec.structs.replace(resume, signatures=tuple(signatures))
    assert verifier.refusal(signed, now_ms()) == ""
    assert verifier.refusal(msgspec.structs.replace(signed, halt_sequence=8), now_ms())


def test_key_that_others_can_read_and_what_is_no_offer_are_refused(tmp_path: Path) -> None:
    path, _ = key_of(tmp_path, "ann")
    path.chmod(0o640)
    with pytest.raises(signers.KeyRefused, match="owner only"):
        signers.sign_with(path, a_resume(1))
    path.chmod(0o600)
    path.write_text('{"name": "ann", "private_key": "secret-and-wrong"}')
    with pytest.raises(signers.KeyRefused) as caught:
        signers.sign_with(path, a_resume(1))
    assert "secret" not in str(caught.value)
    both = signers.Offered(resume=a_resume(1), limit=a_raise("position_e2", 1, after=0))
    for data in (b"{}", b"[]", b"\xff", msgspec.json.encode(both)):
        path.write_bytes(data)
        with pytest.raises(signers.KeyRefused):
            signers.read_offer(path)


def test_signed_bytes_are_what_they_always_were() -> None:
    """A signature in the stream must fit for ever: a change here needs a second form, not another first."""
    resume = ResumeV1(
        halt_sequence=7,
        nonce="n",
        reason="größer",
        by="ann",
        expires_ms=9,
        env="live",
        account="main",
        config_hash="c",
        limits_hash="l",
        overruled=("a", "b"),
        override_until_ms=8,
        signatures=("ignored",),
    )
    assert signed_bytes(resume).decode() == (
        "dora resume 1\nenv=4:live\naccount=4:main\nhalt_sequence=1:7\nnonce=1:n\nreason=8:größer\nby=3:ann\n"
        "expires_ms=1:9\nconfig_hash=1:c\nlimits_hash=1:l\noverruled=6:1:a1:b\noverride_until_ms=1:8\n"
    )

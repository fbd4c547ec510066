"""`dora preflight`, `dora approve`, `dora record`: look, print, keep."""

from __future__ import annotations

import getpass
import os
import stat
import time
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from rich.table import Table

from libs.cli.preflight import records
from libs.cli.preflight.gather import config_hash
from libs.cli.preflight.items import Facts, Report, judge
from libs.cli.preflight.records import Record
from libs.common.env import Env
from libs.common.runtime.log import bot_version


def report_path(var: Path, target: Env) -> Path:
    """Return where a target's report lies."""
    return var / "preflight" / f"{target.value}.json"


def read_report(var: Path, target: Env) -> Report | str:
    """Return the newest report, or why there is none."""
    path = report_path(var, target)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except FileNotFoundError:
        return "none was made (`dora preflight`)"
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as e:
        return f"{path.name} cannot be read: {e}"


def make_report(facts: Facts, *, target: Env, rehearsed_in: Env, account: str) -> Report:
    """Return the report of what was found."""
    return Report(
        target=target.value,
        rehearsed_in=rehearsed_in.value,
        account=account,
        build=facts.build,
        config=facts.config,
        at_ms=facts.now_ms,
        items=judge(facts),
    )


def keep(var: Path, report: Report) -> Path:
    """Write the report, readable by its owner only, and return where."""
    path = report_path(var, Env(report.target))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    fresh.chmod(0o600)
    fresh.replace(path)
    return path


def table(report: Report) -> Table:
    """Return the report for a terminal."""
    title = f"preflight of {report.target} (account {report.account}, build {report.build}),"
    shown = Table(
        title=f"{title} rehearsed in {report.rehearsed_in}", title_justify="left", header_style="bold"
    )
    for name in ("", "item", "", "evidence"):
        shown.add_column(name)
    for item in report.items:
        shown.add_row(str(item.number), item.name, "passed" if item.is_passed else "OPEN", item.evidence)
    return shown


def record_by_hand(var: Path, what: str, *, is_passed: bool, evidence: str, by: str) -> Path:
    """Keep a person's word on something that Dora does not see.

    Raises:
        ValueError: Not such a thing, or no evidence.
    """
    if what not in records.BY_HAND:
        raise ValueError(f"one of {', '.join(records.BY_HAND)}, was {what!r}")
    if not evidence.strip():
        raise ValueError("what was seen, was empty")
    return records.write(
        var,
        Record(
            what=what,
            build=bot_version(os.environ),
            at_ms=time.time_ns() // 1_000_000,
            is_passed=is_passed,
            evidence=evidence,
            by=by or getpass.getuser(),
        ),
    )


def approve(var: Path, role: str, *, config: Path, evidence: str, by: str, key_file: Path) -> Path:
    """Keep a signed approval of this build and configuration.

    Raises:
        ValueError: Not a role, or the key is not a private Ed25519 key in a private file.
    """
    if role not in records.APPROVERS:
        raise ValueError(f"one of {', '.join(records.APPROVERS)}, was {role!r}")
    record = Record(
        what=role,
        build=bot_version(os.environ),
        at_ms=time.time_ns() // 1_000_000,
        is_passed=True,
        evidence=evidence,
        by=by or getpass.getuser(),
        config=config_hash(config),
    )
    return records.write(var, records.approved(record, _private_key(key_file)))


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except OSError as e:
        raise ValueError(f"a readable key file: {e.strerror}: {path.name}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"a key file of mode 0600 or less, was {stat.S_IMODE(mode):04o}")
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise ValueError(f"a private key in PEM: {e}") from None
    match key:
        case Ed25519PrivateKey():
            return key
        case _:
            raise ValueError("an Ed25519 key, was another kind")

"""Gather what the items look at: ask the running services, read records and files."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from libs.cli import operate, reconcile
from libs.cli.places import ROOT, SERVICES
from libs.cli.preflight import records
from libs.cli.preflight.items import Control, Facts, control_key
from libs.common.bus.api import Bus, BusError
from libs.common.control.signing import public_key
from libs.common.env import Env
from libs.common.messages.base import MalformedMessage, WireDecoder
from libs.common.messages.controls import ControlsV1
from libs.common.messages.health import StatusV1
from libs.common.messages.risk import ReconResultV1
from libs.common.risk.registry import RULES
from libs.common.runtime.log import bot_version
from libs.common.subjects import Subjects

STOP_PAGE: Final = Path("docs") / "how-to" / "stop.md"
_RECORDS: Final = ("tests", *records.BY_HAND, *records.APPROVERS)
_CHECK_S: Final = 30.0
_CONTROLS: Final = WireDecoder(ControlsV1)


class _Table(msgspec.Struct, frozen=True):
    """``var/controls.json``, which `make test-controls` writes."""

    controls: tuple[Control, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for; each part says why it is not there.

    Attributes:
        statuses: What the running services say of themselves.
        recon: The result of a comparison that began with the question.
        controls: Every control of riskguard and gate, by `control_key`.
    """

    statuses: Mapping[str, StatusV1 | str]
    recon: ReconResultV1 | str
    controls: Collection[str] | str

    @classmethod
    def nobody(cls, why: str) -> Asked:
        """Return that nobody answered."""
        return cls(dict.fromkeys(SERVICES, why), why, why)


async def asked(bus: Bus, subjects: Subjects) -> Asked:
    """Return what the running services say now."""
    statuses = await operate.statuses(bus, subjects)
    recon: ReconResultV1 | str
    try:
        recon = await reconcile.run_now(bus, subjects)
    except (operate.OperationRefused, BusError) as e:
        recon = str(e) or type(e).__name__
    return Asked(statuses, recon, await _controls(bus, subjects))


async def _controls(bus: Bus, subjects: Subjects) -> Collection[str] | str:
    try:
        answer = await bus.request(subjects.of("svc", "riskguard", "controls"), b"")
        triggers = _CONTROLS.decode(answer.data).controls
    except (BusError, MalformedMessage) as e:
        return str(e) or type(e).__name__
    return {control_key(one.name, is_rule=False) for one in triggers} | {
        control_key(name, is_rule=True) for name in RULES
    }


def facts(
    *,
    var: Path,
    config: Path,
    target: Env,
    key_file: Path | None,
    asked: Asked,
) -> Facts:
    """Return everything that the items look at.

    Args:
        var: Where records lie.
        config: Folder of the target's configuration.
        target: The environment that is meant to start.
        key_file: The venue's private key in that environment.
        asked: What the running services say.
    """
    approvers, problem = approvers_of(config)
    settings = {
        **{f"{name}.toml": _config_problem(config, name, target) for name in SERVICES},
        "venue key": key_problem(key_file),
        "approvers.toml": problem,
        "checkout": _checkout_problem(),
    }
    return Facts(
        now_ms=time.time_ns() // 1_000_000,
        build=bot_version(os.environ),
        config=config_hash(config),
        statuses=asked.statuses,
        recon=asked.recon,
        expected=asked.controls,
        records={what: records.read(var, what) for what in _RECORDS},
        controls=read_controls(var / "controls.json"),
        stop_page=_stop_page(),
        settings=settings,
        approvers=approvers,
    )


def config_hash(config: Path) -> str:
    """Return the first twelve hexadecimal digits of a SHA-256 over the folder's TOML files."""
    digest = hashlib.sha256()
    for path in sorted(config.glob("*.toml")):
        data = path.read_bytes()
        digest.update(b"%s %d\n" % (path.name.encode(), len(data)) + data)
    return digest.hexdigest()[:12]


def read_controls(path: Path) -> Sequence[Control] | str:
    """Return the table of tested controls, or why it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Table).controls
    except FileNotFoundError:
        return "nothing on record"
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as e:
        return f"{path.name} cannot be read: {e}"


def approvers_of(config: Path) -> tuple[dict[str, Ed25519PublicKey], str]:
    """Return the public keys by role, and what is wrong with their file (empty: nothing)."""
    path = config / "approvers.toml"
    try:
        named = tomllib.loads(path.read_text(encoding="utf-8"))
        keys = {role: public_key(str(text)) for role, text in named.items()}
    except FileNotFoundError:
        return {}, "is not there"
    except (OSError, ValueError) as e:
        return {}, f"cannot be read: {e}"
    if len({key.public_bytes_raw() for key in keys.values()}) < len(keys):
        return {}, "has one key for two roles"
    missing = [role for role in records.APPROVERS if role not in keys]
    return keys, f"names no {' and no '.join(missing)}" if missing else ""


def _config_problem(config: Path, service: str, target: Env) -> str:
    path = config / f"{service}.toml"
    if not path.is_file():
        return "is not there"
    told = {k: v for k, v in os.environ.items() if not k.startswith("DORA__")}
    told |= {"DORA_CONFIG": str(path), "DORA_ENV": target.value, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        (sys.executable, "-m", f"services.{service}", "--check-config"),
        env=told,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_CHECK_S,
        check=False,
    )
    return "" if done.returncode == 0 else (done.stderr.strip() or done.stdout.strip())[-300:]


def key_problem(key_file: Path | None) -> str:
    """Return why a private key's file must not be used, or an empty text."""
    if key_file is None:
        return "no key file is named"
    try:
        mode = key_file.stat().st_mode
    except OSError as e:
        return f"cannot be read: {e.strerror}"
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"expected mode 0600 or less, was {stat.S_IMODE(mode):04o}"
    return ""


def _checkout_problem() -> str:
    """Return why the build's name says less than what runs; what was built with a name is what it is."""
    if os.environ.get("BOT_VERSION"):
        return ""
    command = ("git", "status", "--porcelain", "--untracked-files=no")
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=_CHECK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        return f"cannot be looked at: {type(e).__name__}"
    if done.returncode:
        return f"cannot be looked at: {done.stderr.strip()[-200:]}"
    changed = done.stdout.splitlines()
    return f"{len(changed)} files changed since the commit" if changed else ""


def _stop_page() -> str:
    try:
        data = (ROOT / STOP_PAGE).read_bytes()
    except OSError:
        return ""
    return f"{STOP_PAGE.as_posix()}, sha256 {hashlib.sha256(data).hexdigest()[:12]}"

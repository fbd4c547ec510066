"""Gather what the items look at: ask the running services, read records and files."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from libs.cli import operate, reconcile
from libs.cli.places import ROOT, SERVICES
from libs.cli.preflight import records
from libs.cli.preflight.items import Control, Facts
from libs.common.bus.api import Bus, BusError
from libs.common.control.signing import public_key
from libs.common.env import Env
from libs.common.messages.health import StatusV1
from libs.common.messages.risk import ReconResultV1
from libs.common.runtime.log import bot_version
from libs.common.subjects import Subjects

STOP_PAGE: Final = Path("docs") / "how-to" / "stop.md"
_RECORDS: Final = ("tests", *records.BY_HAND, *records.APPROVERS)
_CHECK_S: Final = 30.0


class _Table(msgspec.Struct, frozen=True):
    """``var/controls.json``, which `make test-controls` writes."""

    controls: tuple[Control, ...]


async def asked(bus: Bus, subjects: Subjects) -> tuple[dict[str, StatusV1 | str], ReconResultV1 | str]:
    """Return what the running services say, and the result of a comparison that begins now."""
    statuses = await operate.statuses(bus, subjects)
    try:
        return statuses, await reconcile.run_now(bus, subjects)
    except (operate.OperationRefused, BusError) as e:
        return statuses, str(e) or type(e).__name__


def facts(
    *,
    var: Path,
    config: Path,
    target: Env,
    key_file: Path | None,
    statuses: Mapping[str, StatusV1 | str],
    recon: ReconResultV1 | str,
) -> Facts:
    """Return everything that the items look at.

    Args:
        var: Where records lie.
        config: Folder of the target's configuration.
        target: The environment that is meant to start.
        key_file: The venue's private key in that environment.
        statuses: What the running services say.
        recon: What the comparison said.
    """
    approvers, problem = approvers_of(config)
    settings = {
        **{f"{name}.toml": _config_problem(config, name, target) for name in SERVICES},
        "venue key": key_problem(key_file),
        "approvers.toml": problem,
    }
    return Facts(
        now_ms=time.time_ns() // 1_000_000,
        build=bot_version(os.environ),
        config=config_hash(config),
        statuses=statuses,
        recon=recon,
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


def _stop_page() -> str:
    try:
        data = (ROOT / STOP_PAGE).read_bytes()
    except OSError:
        return ""
    return f"{STOP_PAGE.as_posix()}, sha256 {hashlib.sha256(data).hexdigest()[:12]}"

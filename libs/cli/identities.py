"""The NATS server's configuration and the password file of each identity.

Permissions come from `libs/common/bus/permissions.py`, which renders them from
the subject table. Passwords are new at every start and lie in files that only
the owner may read, the server's configuration included.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from libs.cli.places import SERVICES, Places
from libs.common.bus.permissions import INIT, OPERATOR, render_server_config
from libs.common.env import Env


def config_path(places: Places) -> Path:
    """Return where the server's configuration is written."""
    return places.credentials / "nats.conf"


def write(env: Env, places: Places, *, nats_port: int, monitor_port: int) -> dict[str, Path]:
    """Write configuration and password files; return the file of each user."""
    places.credentials.mkdir(parents=True, exist_ok=True, mode=0o700)
    passwords = {user: secrets.token_urlsafe(24) for user in (INIT, OPERATOR, *SERVICES)}
    text = render_server_config(env, str(places.nats), nats_port, monitor_port, passwords)
    _private(config_path(places), text)
    files: dict[str, Path] = {}
    for user, password in passwords.items():
        files[user] = places.credentials / f"{user}.password"
        _private(files[user], password + "\n")
    return files


def _private(path: Path, text: str) -> None:
    """Write a file that only the owner may read, from its first byte on."""
    fresh = path.with_suffix(path.suffix + ".tmp")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)

"""``var/run/<env>.json``: where everything of a running Dora is.

Written whole by `dora up` and replaced at every change of a process id, so that
a reader never sees half a file. Other commands and tests start from it; secrets
are named by path only.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """What is running and how to reach it."""

    env: str
    account: str
    pid: int
    """Of the supervising `dora` itself."""
    started_ns: int
    nats_url: str
    nats_monitor_url: str
    redis_url: str
    venue_rest_url: str
    venue_ws_url: str
    venue_key_id: str
    venue_key_file: str
    venue_file: str = ""
    """``venue.json`` of the simulated venue; empty where the venue is another's."""
    nats_user: str = "operator"
    nats_password_file: str
    """The operator's."""
    credentials: dict[str, str]
    """Password file of each NATS user."""
    metrics_ports: dict[str, int]
    pids: dict[str, int]
    """Processes alive now, by service."""
    state_dirs: dict[str, str]
    logs: dict[str, str]


class NotRunning(Exception):  # noqa: N818 - named for what was found
    """There is no run file, or the process it names is gone."""


def write(path: Path, run: RunFile) -> None:
    """Replace the file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    fresh.replace(path)


def read(path: Path) -> RunFile:
    """Return the run file of a Dora that is alive.

    Raises:
        NotRunning: No file, an unreadable one, or its process has gone.
    """
    try:
        run = msgspec.json.decode(path.read_bytes(), type=RunFile)
    except FileNotFoundError:
        raise NotRunning(f"nothing runs: {path} is not there (start with `dora up`)") from None
    except (msgspec.DecodeError, OSError) as e:
        raise NotRunning(f"{path} cannot be read: {e}") from None
    try:
        os.kill(run.pid, 0)
    except ProcessLookupError:
        raise NotRunning(f"nothing runs: {path} names process {run.pid}, which is gone") from None
    except PermissionError:
        pass
    return run

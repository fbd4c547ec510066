"""The simulated exchange as a process of its own, for tests whose executors are processes too."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
_START_S = 30.0


@dataclass(frozen=True, slots=True)
class Member:
    """One account at the venue and its key."""

    name: str
    key_id: str
    key_file: Path


@dataclass
class VenueProcess:
    """A running `python -m services.simexchange` and the other side of its counter."""

    process: subprocess.Popen[bytes]
    rest_url: str
    ws_url: str
    folder: Path
    http: httpx.Client

    def member(self, name: str, *, tier: str = "prestige", dollars: int = 10_000) -> Member:
        """Open an account with cash on every shard and return its key."""
        body = {"name": name, "tier": tier, "cash": {str(shard): str(dollars) for shard in range(4)}}
        answer = self.http.post("/sim/accounts", json=body)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        path = self.folder / f"{name}.pem"
        path.touch(mode=0o600)
        path.write_text(made["private_key"], encoding="utf-8")
        return Member(name, made["key_id"], path)

    def truth(self, account: str, *, ended: bool = False) -> dict[str, Any]:
        """Return the venue's own books of one account, with its clock as ``now_ms``."""
        query = {"account": account} | ({"orders": "all"} if ended else {})
        answer = self.http.get("/sim/truth", params=query)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        books: dict[str, Any] = told["accounts"][account]
        return books | {"now_ms": told["now_ms"]}


def environment(cache: Path, **ours: str) -> dict[str, str]:
    """Return the environment without anything that is meant for a Dora, and with ``ours``.

    Compiled modules go to ``cache``: hundreds of starts, and none of them leaves anything in the tree.
    """
    not_ours = ("DORA", "NATS", "REDIS", "SLEEPY", "PYTHONDONTWRITE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(not_ours)}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(cache / "compiled")} | ours


@contextlib.contextmanager
def venue_process(folder: Path, **sim: object) -> Iterator[VenueProcess]:
    """Run a quiet venue; ``sim`` is its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "venue.json"
    options = {"synthetic_events_per_s": 0.001, "tier": "prestige"} | sim
    told = {f"DORA__SIM__{name.upper()}": str(value) for name, value in options.items()}
    env = environment(folder, DORA__SIM__VENUE_FILE=str(file), **told)
    with (folder / "venue.log").open("ab") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", "services.simexchange"), cwd=ROOT, env=env, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + _START_S
        while not file.exists():
            assert process.poll() is None, (folder / "venue.log").read_text()[-2000:]
            assert time.monotonic() < deadline, f"venue.json within {_START_S} s"
            time.sleep(0.02)
        at = json.loads(file.read_bytes())
        with httpx.Client(base_url=at["rest_url"].removesuffix("/trade-api/v2"), timeout=10) as http:
            yield VenueProcess(process, at["rest_url"], at["ws_url"], folder, http)
    finally:
        process.kill()
        process.wait(10)

"""Three real processes for halts: NATS, the simulated venue and the executor; nothing else of Dora runs.

The measuring process plays the rest (`halt_play.py`). The executor compares all its orders
once an epoch and not every few seconds, because on one machine the venue's processor time is
ours: a listing of five thousand orders costs the simulator what a real venue spends elsewhere.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from bench.nats_process import NatsProcess
from libs.cli.places import ROOT
from libs.cli.world import VenueFile, clean_env

ACCOUNT: Final = "main"
SHARDS: Final = (0, 1, 2)
MARKETS_A_SHARD: Final = 8
_READY_S: Final = 30.0
_CONFIG: Final = ROOT / "deploy" / "config" / "sim" / "executor.toml"
_OTHER_THAN_SIM: Final = {
    "LIMITS__ORDERS_PER_S_MAX": "1000",
    "LIMITS__PRICE_COLLAR_E4_MAX": "2000",
    "GROUPS__LIMIT_E2": "1000000",
    "PLANNING__HYSTERESIS_TICKS": "0",
    "PLANNING__INTENT_AGE_MS_MAX": "2000",
    # A machine that does everything at once is late now and then; a halt is what is measured.
    "EPOCH__LEASE_S": "6.0",
    "EPOCH__NO_RISK_S": "4.0",
    "EPOCH__CANCEL_ALL_S": "5.0",
    "GATE__ECHO_AGE_S": "3.0",
    "GATE__BOOK_AGE_MS": "5000",
    "GATE__CLOSED_CANCEL_S": "60.0",
    "EVIDENCE__READ_LAG_S": "0.45",
    "EVIDENCE__LOOK_S": "0.2",
    "EVIDENCE__COMPARE_S": "600.0",
    "EVIDENCE__CLEAN_READS": "1",
    "EVIDENCE__CLEAN_GAP_S": "0.01",
}


@dataclass
class Rig:
    """The running processes, and the venue's other counter."""

    nats_url: str
    venue: VenueFile
    client: httpx.AsyncClient
    folder: Path
    markets: dict[str, int] = field(default_factory=dict)
    """Shard by market."""

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the venue under ``/sim``."""
        url = f"{self.venue.rest_url.split('/trade-api')[0]}/sim/{path}"
        if body is None:
            answer = await self.client.get(url)
        else:
            answer = await self.client.post(url, content=msgspec.json.encode(body))
        told: dict[str, Any] = msgspec.json.decode(answer.content)
        if answer.status_code >= 400:
            raise RuntimeError(f"/sim/{path}: {told}")
        return told

    async def move(self, ms_min: float, ms_max: float, read_lag_s: float) -> None:
        """Put the venue at a distance."""
        await self.ask("distance", {"ms_min": ms_min, "ms_max": ms_max, "read_lag_s": read_lag_s})

    async def list_markets(self) -> None:
        """List quiet markets on every shard."""
        for shard in SHARDS:
            asked = {"series": f"HALT{shard}", "shard": shard, "count": MARKETS_A_SHARD}
            self.markets |= dict.fromkeys((await self.ask("quiet", asked))["markets"], shard)

    def log_end(self) -> str:
        """Return the end of the executor's log."""
        return (self.folder / "executor.log").read_text(errors="replace")[-3_000:]


@contextlib.contextmanager
def venue_and_bus(folder: Path) -> Iterator[tuple[str, VenueFile]]:
    """Yield a bus and a venue without flow."""
    venue_file = folder / "venue" / "venue.json"
    told = {
        "DORA_ENV": "sim",
        "DORA__SIM__VENUE_FILE": str(venue_file),
        "DORA__SIM__SYNTHETIC_EVENTS_PER_S": "0.001",
        "DORA__SIM__PROBE_S": "0",
    }
    with NatsProcess(folder) as nats, _process("simexchange", folder, told) as process:
        yield nats.url, msgspec.json.decode(_when_there(venue_file, process), type=VenueFile)


@contextlib.contextmanager
def executor(folder: Path, nats_url: str, venue: VenueFile) -> Iterator[subprocess.Popen[bytes]]:
    """Run the executor process."""
    key = venue.accounts[0]
    told = {f"DORA__{name}": value for name, value in _OTHER_THAN_SIM.items()} | {
        "DORA_CONFIG": str(_CONFIG),
        "DORA_ENV": "sim",
        "DORA_STATE_DIR": str(folder / "state"),
        "NATS_URL": nats_url,
        "DORA_VENUE_REST_URL": venue.rest_url,
        "DORA_VENUE_WS_URL": venue.ws_url,
        "DORA_VENUE_KEY_ID": key.key_id,
        "DORA_VENUE_KEY_FILE": key.key_file,
        # A line a cancelled order is what a halt writes most of; the disk is shared with the journal.
        "DORA_LOG_LEVEL": "WARNING",
    }
    with _process("executor", folder, told) as process:
        yield process


@contextlib.contextmanager
def a_folder() -> Iterator[Path]:
    """Yield a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="dora-halt-") as name:
        yield Path(name)


@contextlib.contextmanager
def _process(service: str, folder: Path, told: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{service}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{service}"],
            env=clean_env() | told,
            stdout=log,
            stderr=log,
            cwd=ROOT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _when_there(path: Path, process: subprocess.Popen[bytes]) -> bytes:
    deadline = time.monotonic() + _READY_S
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError(f"a venue within {_READY_S:.0f} s, was not")
        time.sleep(0.02)
    return path.read_bytes()

"""The official client package drives the simulated venue, in an environment of its own.

It needs Python 3.13 or later; where none is found the test is reported as
skipped. The environment is made once, from hash-pinned requirements, and kept
under ``var/`` until the requirements change.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from services.simexchange.core.fifo_book import FifoBook
from services.simexchange.core.markets import MarketSpec
from services.simexchange.core.requests import CreateRequest
from tests.support.venue import CENT_MARKET, DECI_MARKET, RunningVenue, running_venue

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements" / "official-client.txt"
DRIVE = Path(__file__).with_name("official_client_drive.py")
SETTLED_MARKET = "SIMTEST-26NOV21-S"


def find_python() -> str | None:
    """Return a Python 3.13 or later that runs: from the path, else from pyenv's versions."""
    names = [shutil.which(f"python3.{minor}") for minor in (13, 14)]
    versions = sorted((Path.home() / ".pyenv" / "versions").glob("3.1[34]*/bin/python"))
    for candidate in [*names, *map(str, versions)]:
        if (
            candidate
            and subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False).returncode
            == 0
        ):
            return candidate
    return None


@pytest.fixture(scope="module")
def client_python() -> str:
    """Return the interpreter of an environment that has the official client."""
    python = find_python()
    if python is None:
        pytest.skip("no Python 3.13 or later, which the official client needs")
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    home = ROOT / "var" / "official-client" / digest
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").exists():
            _make(python, home)
    return str(home / "bin" / "python")


def _make(python: str, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(home)], check=True, capture_output=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--require-hashes", "-r", str(REQUIREMENTS)],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode:
        assert not os.environ.get("CI"), done.stderr
        pytest.skip(f"the official client could not be installed: {done.stderr.strip()[-200:]}")
    (home / "ready").touch()


@pytest.fixture
def venue() -> Iterator[RunningVenue]:
    with running_venue() as running:
        running.call(lambda: settle_something(running))
        running.call(lambda: fund_everybody(running))
        yield running


def settle_something(running: RunningVenue) -> None:
    """Give both accounts a settled market."""
    venue, now_ns = running.venue, running.venue.floor.now_ns
    spec = MarketSpec(
        SETTLED_MARKET,
        "SIMTEST-26NOV21",
        "Settled?",
        grid_of_steps((0, 10_000, 100)),
        now_ns,
        now_ns + 10**12,
        settlement_timer_s=0,
    )
    venue.add_market(spec, FifoBook(), now_ns)
    venue.create("alice", CreateRequest(SETTLED_MARKET, Side.BID, 6000, 200), now_ns)
    venue.create("bob", CreateRequest(SETTLED_MARKET, Side.ASK, 6000, 200), now_ns)
    venue.set_close(SETTLED_MARKET, now_ns, now_ns)
    venue.set_result(SETTLED_MARKET, "yes", now_ns)


def fund_everybody(running: RunningVenue) -> None:
    """Give both accounts a deposit and a withdrawal, and transfers that take a while."""
    venue, now_ns = running.venue, running.venue.floor.now_ns
    venue.bank.transfer_ns = 10**12
    for account in ("alice", "bob"):
        venue.fund(account, 0, 7_000_000, now_ns)
        venue.fund(account, 0, -3_000_000, now_ns, fee_e6=250_000)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("account", ["alice", "bob"])
def test_the_official_client_understands_every_answer(
    client_python: str, venue: RunningVenue, tmp_path: Path, account: str
) -> None:
    """One account signs with Ed25519, the other with RSA."""
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(venue.keys[account].private_pem)

    done = subprocess.run(
        [
            client_python,
            str(DRIVE),
            venue.rest_url,
            venue.keys[account].key_id,
            str(key_file),
            CENT_MARKET,
            DECI_MARKET,
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    truth = venue.sim("GET", f"truth?account={account}")["accounts"][account]
    assert round(float(told["balance_dollars"]) * 1_000_000) == sum(truth["cash_e6"].values())
    assert told["positions"] == {CENT_MARKET: "1.00"}
    assert (len(told["fills"]), told["settlements"], truth["orders"]) == (2, 1, [])
    assert len(told["called"]) > 40

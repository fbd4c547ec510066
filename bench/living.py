"""Measure tick-to-order and its floor in one living Dora, in the same seconds.

A demo trades; beside it, on its own NATS server, the floor's chain (`floor.py`)
takes single frames, so that both paths meet the same processor load, the same cold
caches and the same disk. One second they are frames of its own at random times, the
next they are some of the very frames that marketdata gets: a tick finds the machine
busy with itself, a random moment mostly does not. The frames are few (`PROBES_S` a
second) so that they do not become load themselves; a demo without them shows whether
they did. What is told beside: how long each stage takes, what processor time each
process used, and who made the signatures.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from bench.floor import Percentiles, Server, Venue, chain, is_ticks_turn, percentiles
from libs.cli import identities
from libs.cli.operate import operator_bus, statuses
from libs.cli.runfile import NotRunning, RunFile, read
from libs.common.bus import permissions
from libs.common.bus.api import BusError
from libs.common.env import Env
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.transport import make_transport
from libs.common.messages.health import StatusV1
from libs.common.runtime.clock import SystemClock
from libs.common.subjects import Subjects

PROBES_S: Final = 15.0
STAGES: Final = (
    ("marketdata", "tick_to_book"),
    ("strategy", "tick_to_heard"),
    ("strategy", "heard_to_target"),
    ("executor", "tick_to_target"),
    ("executor", "target_to_intent"),
    ("executor", "intent_to_stored"),
    ("executor", "stored_to_wire"),
    ("executor", "tick_to_order"),
)
"""Where time goes: by service, in the order of the path."""
_USER: Final = "floor"
_READY_S: Final = 90.0
_POLL_S: Final = 2.0
_TICK_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Living:
    """One demo as measured.

    Attributes:
        summary: The demo's own.
        floor: Of the probes at random times beside it, None without probes.
        floor_ticks: Of the probes that were frames of the venue.
        statuses: The newest of every service.
        cpu: Share of one core by process while quotes were made, 0.1 is a tenth.
    """

    summary: dict[str, Any] = field(default_factory=dict)
    floor: Percentiles | None = None
    floor_ticks: Percentiles | None = None
    statuses: dict[str, StatusV1] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    def gauges(self, service: str) -> dict[str, float]:
        """Return the last gauges a service told."""
        status = self.statuses.get(service)
        return dict(status.gauges) if status is not None else {}


def demo(seconds: int, *options: str, probes_s: float = PROBES_S) -> Living:
    """Run a demo to its end, with probes beside it unless ``probes_s`` is zero.

    Raises:
        RuntimeError: The demo did not end well; the text has its last lines.
    """
    with tempfile.TemporaryDirectory() as folder:
        return uvloop.run(_demo(Path(folder), seconds, options, probes_s))


async def _demo(folder: Path, seconds: int, options: tuple[str, ...], probes_s: float) -> Living:
    password = secrets.token_urlsafe(24)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.living", "demo", "--duration", str(seconds), *options,
        env={**os.environ, "DORA_VAR": str(folder)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    ending = asyncio.create_task(process.communicate(password.encode() + b"\n"))
    found = Living()
    try:
        async with asyncio.timeout(seconds * 4 + 120):
            run = await _ready(folder / "run" / "sim.json", ending)
            server = Server(run.nats_url, _USER, password) if probes_s else None
            await _watch(run, found, seconds, server, probes_s)
            said, _ = await asyncio.shield(ending)
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.gather(ending, return_exceptions=True)
    summary = folder / "demo" / "summary.json"
    if process.returncode or not summary.exists():
        raise RuntimeError(f"demo that exits 0, was {process.returncode}: {said.decode()[-2000:]}")
    found.summary = msgspec.json.decode(summary.read_bytes(), type=dict[str, Any])
    return found


async def _ready(path: Path, ending: asyncio.Task[Any]) -> RunFile:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and not ending.done():
        with contextlib.suppress(NotRunning):
            run = read(path)
            if {"executor", "riskguard", "reconciler"} <= set(run.pids):
                return run
        await asyncio.sleep(0.2)
    raise RuntimeError(f"a running Dora within {_READY_S:.0f} s, was not")


async def _watch(run: RunFile, found: Living, seconds: int, server: Server | None, probes_s: float) -> None:
    subjects = Subjects(Env.SIM)
    end_s = time.monotonic() + seconds - _POLL_S  # well before the demo winds down
    async with operator_bus(run) as bus:
        while not _is_quoting(found):
            found.statuses |= _whole(await statuses(bus, subjects))
            await asyncio.sleep(0.2)
        began_s, used = time.monotonic(), _used_s(run)
        async with _probing(run, server, probes_s, found):
            while time.monotonic() + _POLL_S < end_s:
                await asyncio.sleep(_POLL_S)
                with contextlib.suppress(BusError):
                    found.statuses |= _whole(await statuses(bus, subjects))
        passed_s = time.monotonic() - began_s
        found.cpu = {
            name: round((now_s - used[name]) / passed_s, 4)
            for name, now_s in _used_s(run).items()
            if name in used
        }


def _is_quoting(found: Living) -> bool:
    status = found.statuses.get("executor")
    return status is not None and status.counters.get("orders_created", 0) > 0


def _whole(answers: dict[str, StatusV1 | str]) -> dict[str, StatusV1]:
    return {name: answer for name, answer in answers.items() if isinstance(answer, StatusV1)}


@contextlib.asynccontextmanager
async def _probing(
    run: RunFile, server: Server | None, probes_s: float, found: Living
) -> AsyncIterator[None]:
    if server is None:
        yield
        return
    chance = random.Random(1)
    times_us: list[float] = []
    async with chain(server, await _venue(run, found, probes_s)) as hops:

        async def probe() -> None:
            while True:
                await asyncio.sleep(chance.expovariate(2 * probes_s))  # every other second is the venue's
                if not is_ticks_turn():
                    times_us.append(await hops.send())

        for _ in range(5):
            await hops.send()  # warm: code, connections, the stream's first block
        probing = asyncio.create_task(probe())
        try:
            yield
            if probing.done():
                await probing
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
            found.floor = percentiles(times_us) if times_us else None
            found.floor_ticks = percentiles(hops.ticks_us) if hops.ticks_us else None


async def _venue(run: RunFile, found: Living, probes_s: float) -> Venue:
    transport = make_transport(run.venue_rest_url)
    signer = Signer.from_file(run.venue_key_id, Path(run.venue_key_file))
    markets = await VenueReader(run.venue_rest_url, transport, signer, SystemClock()).markets()
    await transport.aclose()
    status = found.statuses["marketdata"]
    frames_s = status.counters["md_messages"] / max(1, status.uptime_s)
    return Venue(
        run.venue_ws_url,
        run.venue_key_id,
        run.venue_key_file,
        tuple(market.market for market in markets),
        share=min(1.0, 2 * probes_s / max(1.0, frames_s)),
    )


def _used_s(run: RunFile) -> dict[str, float]:
    """Return the processor seconds each process has used so far, user and system."""
    used: dict[str, float] = {}
    for name, pid in run.pids.items():
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used[name] = (int(fields[11]) + int(fields[12])) / _TICK_S
    return used


def _run_with_a_floor_user(password: str) -> None:
    """Run the `dora` command in a world whose NATS server knows one user more, for the probes alone."""
    render = permissions.render_server_config

    def with_floor(*args: Any, **kwargs: Any) -> str:
        user = (
            f'    {{ user: "{_USER}", password: "{password}", permissions: {{\n'
            '        publish: { allow: ["floor.>", "$JS.API.INFO", "$JS.API.STREAM.CREATE.FLOOR"] },\n'
            '        subscribe: { allow: ["floor.>", "_INBOX.>"] }\n'
            "    } }\n"
        )
        return render(*args, **kwargs).replace("  users = [\n", "  users = [\n" + user, 1)

    identities.render_server_config = with_floor  # type: ignore[attr-defined]
    from libs.cli.__main__ import main as dora

    dora()


if __name__ == "__main__":
    _run_with_a_floor_user(sys.stdin.readline().strip())

"""All of Dora as processes that nobody restarts but the test: what is killed stays dead."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from libs.cli.operate import OperationRefused, confirm_resume, offer_resume
from libs.cli.places import ROOT
from libs.cli.world import VenueFile
from libs.common.bus.api import BusError
from libs.common.bus.nats import NatsBus
from libs.common.bus.streams import create_streams
from libs.common.env import Env
from libs.common.messages.base import MalformedMessage, WireDecoder
from libs.common.messages.health import StatusV1
from libs.common.subjects import Subjects
from tests.controls.processes import ServiceProcess
from tests.support.nats_server import NatsServer, own_server

MEMBER: Final = "main"
NATS: Final = "nats"
SERVICES: Final = ("marketdata", "strategy", "executor", "reconciler", "riskguard")
KEYS: Final = {
    "marketdata": "marketdata",
    "executor": "trade",
    "reconciler": "reconciler",
    "riskguard": "riskguard",
}
"""Key at the venue by service; strategy has none."""
_MANY_STARTS: Final = {"riskguard__LIMITS__HEALTH__BOOTS_MAX": "1000000"}
"""Dying and starting by the dozen is what these worlds are for; elsewhere it is a runaway, and halts."""
_READY_S: Final = 180.0
"""Nothing is measured while the dead come back; on a busy machine that takes as long as it takes."""
_CALM_S: Final = 1.0
_POLL_S: Final = 0.02
_STATUS: Final = WireDecoder(StatusV1)


@dataclass
class KillWorld:
    """A running world without a supervisor.

    Attributes:
        resumes: How often a halt had to be lifted before quoting went on.
    """

    nats: NatsServer
    venue: VenueFile
    services: dict[str, ServiceProcess]
    client: httpx.AsyncClient
    subjects: Subjects = field(default_factory=lambda: Subjects(Env.SIM))
    resumes: int = 0

    # The venue's word --------------------------------------------------------------------------------

    async def sim(self, path: str, body: object = None) -> dict[str, Any]:
        """Ask the other side of the venue's counter."""
        url = f"{self.venue.rest_url.removesuffix('/trade-api/v2')}/sim/{path}"
        if body is None:
            answer = await self.client.get(url)
        else:
            answer = await self.client.post(url, content=msgspec.json.encode(body))
        told: dict[str, Any] = msgspec.json.decode(answer.content)
        assert answer.status_code < 400, f"/sim/{path}: {told}"
        return told

    async def clear_faults(self) -> None:
        """Take back every fault."""
        await self.client.delete(f"{self.venue.rest_url.removesuffix('/trade-api/v2')}/sim/faults")

    async def now_ns(self) -> int:
        """Return the venue's clock."""
        return int((await self.sim("clock"))["now_ns"])

    async def resting(self) -> list[dict[str, Any]]:
        """Return our orders that rest."""
        orders: list[dict[str, Any]] = (await self.sim(f"truth?account={MEMBER}"))["accounts"][MEMBER][
            "orders"
        ]
        return orders

    async def empty_after_s(self, since_ns: int, at_most_s: float) -> float:
        """Return how long after a moment of the venue's clock the last order of ours was gone, for good.

        Raises:
            AssertionError: Something rested longer than ``at_most_s``.
        """
        deadline_s = time.monotonic() + at_most_s
        calm_since_s: float | None = None
        while True:
            record = await self.sim("record")
            rows = record["accounts"].get(MEMBER, {}).values()
            now_s = time.monotonic()
            if all(row["is_empty"] for row in rows):
                calm_since_s = now_s if calm_since_s is None else calm_since_s
                if now_s - calm_since_s >= _CALM_S:
                    return max(0, max(int(row["empty_ns"]) for row in rows) - since_ns) / 1e9
            else:
                calm_since_s = None
                assert now_s < deadline_s, f"nothing of ours rests after {at_most_s:.1f} s, was {record}"
            await asyncio.sleep(_POLL_S)

    async def asked_by(self, key_name: str) -> dict[tuple[str, str], int]:
        """Return what requests arrived under a key: method and path, how often."""
        key_id = next(account.key_id for account in self.venue.accounts if account.name == key_name)
        rows = (await self.sim("record"))["asked"]
        return {(row["method"], row["path"]): row["count"] for row in rows if row["key_id"] == key_id}

    # Lives and deaths ----------------------------------------------------------------------------------

    def kill(self, names: Iterable[str]) -> None:
        """Kill processes at once, the hard way; they stay dead."""
        chosen = set(names)
        pids = [self.services[name].pid for name in chosen - {NATS}]
        if NATS in chosen:
            assert self.nats.process is not None
            pids.append(self.nats.process.pid)
        _kill_all(pids)
        for name in chosen - {NATS}:
            self.services[name].kill()
        if NATS in chosen:
            self.nats.kill()

    async def revive(self) -> None:
        """Start whatever is dead."""
        if self.nats.process is None or self.nats.process.poll() is not None:
            await asyncio.to_thread(self.nats.restart)
        for process in self.services.values():
            if not process.is_alive:
                process.start()

    async def until_quoting(self, shards: int = 2, timeout_s: float = _READY_S) -> None:
        """Wait until the gate runs and orders of ours rest on so many shards; resume what is halted."""
        deadline_s = time.monotonic() + timeout_s
        last = "nothing tried"
        while time.monotonic() < deadline_s:
            # What ended by itself meanwhile, because its bus was gone, comes back too.
            await self.revive()
            try:
                async with self.bus() as bus:
                    while time.monotonic() < deadline_s:
                        last = await self._quoting(bus, shards)
                        if not last:
                            return
                        if any(not process.is_alive for process in self.services.values()):
                            break
                        await asyncio.sleep(0.2)
            except (BusError, OSError) as e:
                last = f"{type(e).__name__}: {e}"
                await asyncio.sleep(0.2)
        tails = "".join(f"--- {p.name}\n{p.tail(1_200)}\n" for p in self.services.values())
        raise AssertionError(f"quotes on {shards} shards within {timeout_s:.0f} s; last: {last}\n{tails}")

    async def status(self, bus: NatsBus, service: str) -> StatusV1:
        """Return a service's own word.

        Raises:
            BusError: It does not answer.
        """
        answer = await bus.request(self.subjects.of("svc", service, "status"), b"", timeout_s=1)
        return _STATUS.decode(answer.data)

    @contextlib.asynccontextmanager
    async def bus(self) -> AsyncIterator[NatsBus]:
        """Yield a connection."""
        bus = await NatsBus.connect(self.nats.url, name="kills", env=Env.SIM, timeout_s=2)
        try:
            yield bus
        finally:
            with contextlib.suppress(BusError):
                await bus.drain()

    async def _quoting(self, bus: NatsBus, shards: int) -> str:
        """Return an empty text if all is well, else what is not."""
        try:
            executor, guard = await self.status(bus, "executor"), await self.status(bus, "riskguard")
        except (BusError, MalformedMessage) as e:
            return f"{type(e).__name__}: {e}"
        if guard.state == "halted":
            with contextlib.suppress(OperationRefused, BusError):
                offer = await offer_resume(bus, self.subjects, "the test goes on", "kills")
                await confirm_resume(bus, self.subjects, offer, "the test goes on", "kills")
                self.resumes += 1
        if executor.state != "running":
            return f"executor {executor.state} {executor.reasons}, riskguard {guard.state} {guard.reasons}"
        record = await self.sim("record")
        busy = [row for row in record["accounts"].get(MEMBER, {}).values() if not row["is_empty"]]
        return "" if len(busy) >= shards else f"orders on {len(busy)} shards"


@contextlib.asynccontextmanager
async def kill_world(folder: Path, **told: str) -> AsyncIterator[KillWorld]:
    """Yield a world that quotes; ``told`` is further environment of every service (`_own`)."""
    folder.mkdir(parents=True, exist_ok=True)
    venue_file = folder / "venue" / "venue.json"
    config = {"DORA_ENV": "sim", "DORA_CONFIG": str(ROOT / "deploy" / "config" / "sim")}
    flow = {
        "DORA__SIM__VENUE_FILE": str(venue_file),
        "DORA__SIM__SYNTHETIC_EVENTS_PER_S": "30",
        "DORA__SIM__SYNTHETIC_SEED": "7",
    }
    simexchange = ServiceProcess("simexchange", folder, config | flow)
    async with contextlib.AsyncExitStack() as stack:
        nats = stack.enter_context(own_server())
        await create_streams(nats.url, Env.SIM)
        simexchange.start()
        stack.push_async_callback(simexchange.end)
        venue = await _venue_of(venue_file, simexchange)
        services = {
            name: ServiceProcess(
                name, folder, config | _told(name, folder, nats, venue) | _own(name, _MANY_STARTS | told)
            )
            for name in SERVICES
        }
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=10, trust_env=False))
        world = KillWorld(nats, venue, services, client)
        for process in services.values():
            stack.push_async_callback(process.end)
            process.start()
        await world.until_quoting()
        yield world


def _told(name: str, folder: Path, nats: NatsServer, venue: VenueFile) -> dict[str, str]:
    told = {"NATS_URL": nats.url, "DORA_STATE_DIR": str(folder / f"state-{name}")}
    if name in KEYS:
        key = next(account for account in venue.accounts if account.name == KEYS[name])
        told |= {
            "DORA_VENUE_REST_URL": venue.rest_url,
            "DORA_VENUE_WS_URL": venue.ws_url,
            "DORA_VENUE_KEY_ID": key.key_id,
            "DORA_VENUE_KEY_FILE": key.key_file,
        }
    return told


def _own(name: str, told: dict[str, str]) -> dict[str, str]:
    """Return the settings meant for one service: ``executor__A__B`` is the executor's ``DORA__A__B``."""
    mine = f"{name}__"
    return {f"DORA__{key[len(mine) :]}": value for key, value in told.items() if key.startswith(mine)}


async def _venue_of(path: Path, process: ServiceProcess) -> VenueFile:
    deadline_s = time.monotonic() + _READY_S
    while not path.exists():
        assert process.is_alive, f"a venue, was {process.tail()}"
        assert time.monotonic() < deadline_s, f"a venue within {_READY_S:.0f} s"
        await asyncio.sleep(0.02)
    return msgspec.json.decode(path.read_bytes(), type=VenueFile)


def _kill_all(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

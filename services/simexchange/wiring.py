"""Builds the venue's process: one loop with the HTTP door, the WebSocket face and the player.

No bus here: the simulated venue is outside of Dora, and everything of Dora
talks to it as it would to the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import signal
import socket
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn

from libs.common.domain.units import DOLLAR_E6
from libs.common.runtime.clock import Clock, SystemClock
from libs.common.runtime.errors import ConfigError
from libs.common.runtime.log import EventLog
from services.simexchange.config import Config
from services.simexchange.core.channels import Hub
from services.simexchange.core.synthetic_source import SyntheticSource
from services.simexchange.core.tape_source import TapeSource
from services.simexchange.core.venue import Venue
from services.simexchange.shell.auth import KeyRing
from services.simexchange.shell.http_app import HttpApp
from services.simexchange.shell.keys import (
    MEMBER,
    OUTSIDER,
    VenueFile,
    forget_venue_file,
    make_keys,
    write_venue_file,
)
from services.simexchange.shell.latency import Distance, Distant
from services.simexchange.shell.player import Player, Source
from services.simexchange.shell.record import VenueRecord
from services.simexchange.shell.rest import ROOT, RestFace
from services.simexchange.shell.rest_admin import AdminFace
from services.simexchange.shell.rest_bench import BenchFace
from services.simexchange.shell.rest_terms import TermsFace
from services.simexchange.shell.tape_files import Tape, TapeMissing, find_tapes
from services.simexchange.shell.ws import PATH, WebSocketFace

SHARDS: Final = (0, 1, 2, 3)
REPORT_S: Final = 10.0
ATTESTED_NS: Final = 90 * 86_400 * 1_000_000_000
"""Every member attested its location when the venue began."""


@dataclass(frozen=True, slots=True)
class Liquidity:
    """What will be played; found before anything listens, so that a wrong path is a wrong configuration."""

    tapes: tuple[Tape, ...]


def find_liquidity(config: Config) -> Liquidity:
    """Return the recordings that the configuration names.

    Raises:
        ConfigError: The path holds no recording.
    """
    if not config.sim.tape:
        return Liquidity(())
    try:
        return Liquidity(tuple(find_tapes(Path(config.sim.tape))))
    except TapeMissing as e:
        raise ConfigError(f"sim.tape: expected {e}") from e


class Exchange:
    """The whole venue of one configuration: built at once, served until told to stop.

    Attributes:
        venue: The core, for tests that share the process.
        at: Addresses and keys, set when ``answers`` is.
        answers: Set when both faces answer and the venue file is written.
    """

    def __init__(self, config: Config, liquidity: Liquidity, log: EventLog, clock: Clock) -> None:
        self._sim = sim = config.sim
        self._log = log
        self.answers = asyncio.Event()
        self.at: VenueFile | None = None
        now_ns = clock.now_ns()
        self.venue = venue = Venue(
            chance=random.Random(sim.synthetic_seed),
            seed=sim.synthetic_seed,
            read_lag_ns=int(sim.read_lag_s * 1e9),
        )
        cash = dict.fromkeys(SHARDS, sim.cash_dollars * DOLLAR_E6)
        tiers = {MEMBER: sim.tier, OUTSIDER: sim.tier}
        for name, tier in tiers.items():
            venue.add_account(name, tier=tier, cash_by_shard=cash, now_ns=now_ns)
            venue.floor.announced.attested_until_ns[name] = now_ns + ATTESTED_NS
        ring = KeyRing()
        self._keys = make_keys(ring, Path(sim.venue_file).parent / "keys", sim.key_type, tiers)
        self.face = WebSocketFace(
            venue,
            Hub(venue),
            ring,
            clock,
            backlog_bytes_max=sim.backlog_bytes_max,
            on_malformed=lambda kind: _count(log, kind),
        )
        self.source = _source(config, liquidity, venue, now_ns)
        self.player = Player(venue, self.face, clock, [self.source])
        record = VenueRecord(venue, clock, ROOT)

        def changed() -> None:
            record.look()  # first: sending may take a while
            self.face.pump()

        rest = RestFace(venue, ring, clock, changed)
        admin = AdminFace(venue, ring, clock, changed, self.player.progress, lambda: rest.door.counters)
        distance = Distance(sim.latency_ms_min, sim.latency_ms_max, random.Random(sim.synthetic_seed))
        bench = BenchFace(venue, clock, record, rest.sickness, distance, rest.date, changed)
        terms = TermsFace(venue, ring, clock, changed)
        more = [*bench.routes(), *terms.routes()]
        self._app = Distant(HttpApp(rest, admin.app(more)), distance, record.on_arrival)

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set; the venue file is there exactly as long as somebody answers."""
        sim = self._sim
        venue_file = Path(sim.venue_file)
        forget_venue_file(venue_file)
        ws_port = await self.face.start(sim.host, sim.ws_port)
        listener = _listen(sim.host, sim.rest_port)
        door = _Door(
            uvicorn.Config(
                self._app,
                http="httptools",
                ws="none",
                log_config=None,
                access_log=False,
                lifespan="off",
                date_header=False,  # the trade API writes its own, by the venue's clock
                timeout_keep_alive=3600,
            )
        )
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(door.serve(sockets=[listener]))
            background = [
                group.create_task(self.player.run()),
                group.create_task(self.face.beat()),
                group.create_task(_report(self.player, self._log)),
            ]
            if sim.probe_s:
                background.append(group.create_task(self.face.probe(sim.probe_s)))
            await door.answers.wait()
            self.at = VenueFile(
                f"http://{sim.host}:{listener.getsockname()[1]}/trade-api/v2",
                f"ws://{sim.host}:{ws_port}{PATH}",
                self._keys,
                os.getpid(),
            )
            write_venue_file(venue_file, self.at)
            self.answers.set()
            self._log.event("READY", rest_url=self.at.rest_url, ws_url=self.at.ws_url)
            await stop.wait()
            self._log.event("STOPPING", reason="asked to")
            forget_venue_file(venue_file)
            for task in background:
                task.cancel()
            await self.face.stop()
            door.should_exit = True
            await serving


async def run(config: Config, liquidity: Liquidity, log: EventLog) -> None:
    """Serve until SIGTERM or SIGINT."""
    exchange = Exchange(config, liquidity, log, SystemClock())
    # What is alive now lives as long as the process; without this every full collection walks through it.
    gc.collect()
    gc.freeze()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await exchange.serve(stop)
    log.event("SHUTDOWN", graceful=True, progress=exchange.player.progress())


class _Door(uvicorn.Server):
    """The HTTP server without its own signal handlers: the process has one way to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as ever, and tell when requests are answered."""
        await super().startup(sockets)
        self.answers.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


def _source(config: Config, liquidity: Liquidity, venue: Venue, now_ns: int) -> Source:
    sim = config.sim
    if liquidity.tapes:
        tapes = ((tape.market, tape.events()) for tape in liquidity.tapes)
        return TapeSource(venue, tapes, speed=sim.speed, start_ns=now_ns, model=sim.queue_model)
    return SyntheticSource(
        venue,
        random.Random(sim.synthetic_seed),
        start_ns=now_ns,
        events_per_s=sim.synthetic_events_per_s,
        market_life_s=sim.market_life_s,
    )


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


async def _report(player: Player, log: EventLog) -> None:
    while True:
        await asyncio.sleep(REPORT_S)
        log.event("SIM", "the venue plays", progress=player.progress())


def _count(log: EventLog, kind: str) -> None:
    log.once(f"ws {kind}", "MALFORMED", "a WebSocket handshake was refused")

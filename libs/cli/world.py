"""A whole Dora on this machine: which processes, with which addresses, started in which order.

`Wish` says what is wanted; `World` makes it: folders, ports, identities,
servers, `dora init`, the simulated venue unless another was named, the five
services, and the run file that tells everyone else. Ending is the supervisor's,
stage by stage, and happens whatever went wrong on the way.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from libs.cli import identities, runfile, servers
from libs.cli.places import ACCOUNT, CONFIG_ROOT, ROOT, SERVICES, Places
from libs.cli.ports import free_ports
from libs.cli.restarts import RestartRule
from libs.cli.supervisor import ProcessSpec, Supervisor
from libs.common.bus.streams import create_streams
from libs.common.domain.ids import run_id
from libs.common.env import Env
from libs.common.subjects import Stream, Subjects

KEYLESS: Final = frozenset({"strategy"})
"""It holds no key of the venue, by design."""
_STAGES: Final[dict[str, int]] = {
    "strategy": 0,
    "executor": 1,
    "riskguard": 2,
    "reconciler": 3,
    "marketdata": 4,
    "simexchange": 5,
    "valkey": 6,
    "nats": 7,
}
_GRACE_S: Final[dict[str, float]] = {"executor": 15.0}
_READY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class OtherVenue:
    """A venue that is not ours to start."""

    rest_url: str
    ws_url: str
    key_id: str
    key_file: Path


@dataclass(frozen=True, slots=True)
class Wish:
    """What kind of world is wanted.

    Attributes:
        env: The subject root.
        name: Folder under ``var``; the environment's name, or ``demo``.
        is_fresh: Wipe the folder first.
        venue: Another's venue; None starts the simulated one.
        tape: A recording, or a folder of them; None means synthetic flow.
        speed: How many times faster than recorded.
        seed: Of the synthetic flow.
        port: First of consecutive ports; 0 takes any free ones.
        config: Folder with one file a service; None takes the environment's own under ``deploy/config``.
    """

    env: Env
    name: str
    is_fresh: bool = False
    venue: OtherVenue | None = None
    tape: Path | None = None
    speed: float = 1.0
    seed: int | None = None
    port: int = 0
    config: Path | None = None
    confirmed: str = ""

    @property
    def config_folder(self) -> Path:
        """Return the folder of the configuration files."""
        return self.config or CONFIG_ROOT / self.env.value

    def config_of(self, service: str) -> Path:
        """Return the configuration file of a service."""
        return self.config_folder / f"{service}.toml"


class VenueAccount(msgspec.Struct, frozen=True):
    """One account of the simulated venue."""

    key_id: str
    key_file: str
    tier: str = ""
    name: str = ""


class VenueFile(msgspec.Struct, frozen=True):
    """``venue.json``, written by simexchange when it is ready."""

    rest_url: str
    ws_url: str
    accounts: list[VenueAccount]


@dataclass(slots=True)
class Addresses:
    """The ports of one world."""

    nats: int
    monitor: int
    redis: int
    venue_rest: int
    venue_ws: int
    metrics: dict[str, int] = field(default_factory=dict)

    @classmethod
    def choose(cls, first: int) -> Addresses:
        """Return consecutive ports from ``first`` on, or free ones for 0."""
        names = (*SERVICES, "simexchange")
        count = 5 + len(names)
        ports = list(range(first, first + count)) if first else free_ports(count)
        nats, monitor, redis, venue_rest, venue_ws = ports[:5]
        metrics = dict(zip(names, ports[5:], strict=True))
        return cls(nats, monitor, redis, venue_rest, venue_ws, metrics)


class World:
    """Everything of one Dora; start it inside its supervisor's context."""

    def __init__(self, wish: Wish, supervisor: Supervisor, say: Callable[[str], None]) -> None:
        self.wish = wish
        self.places = Places(wish.name, wish.env.value)
        self.subjects = Subjects(wish.env)
        self.supervisor = supervisor
        self.ports = Addresses.choose(wish.port)
        self.venue: VenueFile | None = None
        self._say = say
        self._credentials: dict[str, Path] = {}
        self._started_ns = time.time_ns()
        self._run_id = run_id(self._started_ns, secrets.token_hex(3))
        self._is_told = False

    # -- addresses --------------------------------------------------------------------

    @property
    def nats_url(self) -> str:
        """Return the bus."""
        return f"nats://127.0.0.1:{self.ports.nats}"

    @property
    def monitor_url(self) -> str:
        """Return the server's monitoring address."""
        return f"http://127.0.0.1:{self.ports.monitor}"

    @property
    def redis_url(self) -> str:
        """Return the projections' store."""
        return f"redis://127.0.0.1:{self.ports.redis}/0"

    def account_key(self, service: str = "executor") -> OtherVenue:
        """Return the venue and the key that a service uses; another's venue gave us one key for all."""
        if self.wish.venue is not None:
            return self.wish.venue
        assert self.venue is not None, "the simulated venue is ready before it is asked for"
        named = {account.name: account for account in self.venue.accounts}
        account = named.get(service, self.venue.accounts[0])  # the first is for trading
        return OtherVenue(self.venue.rest_url, self.venue.ws_url, account.key_id, Path(account.key_file))

    @property
    def run(self) -> runfile.RunFile:
        """Return what the run file says now."""
        venue = self.account_key()
        names = [*SERVICES, *(["simexchange"] if self.wish.venue is None else [])]
        return runfile.RunFile(
            env=self.wish.env.value,
            account=ACCOUNT,
            pid=os.getpid(),
            started_ns=self._started_ns,
            nats_url=self.nats_url,
            nats_monitor_url=self.monitor_url,
            redis_url=self.redis_url,
            venue_rest_url=venue.rest_url,
            venue_ws_url=venue.ws_url,
            venue_key_id=venue.key_id,
            venue_key_file=str(venue.key_file),
            venue_file="" if self.wish.venue else str(self.places.venue / "venue.json"),
            nats_password_file=str(self._credentials["operator"]),
            credentials={user: str(path) for user, path in self._credentials.items()},
            metrics_ports={name: self.ports.metrics[name] for name in names},
            pids=self.supervisor.pids,
            state_dirs={name: str(self.places.state(name)) for name in SERVICES},
            logs={name: str(self.places.logs / f"{name}.log") for name in (*names, "nats", "valkey")},
        )

    def tell(self) -> None:
        """Write the run file anew, once there is something to tell."""
        if self._is_told:
            runfile.write(self.places.run_file, self.run)

    def untell(self) -> None:
        """Remove the run file."""
        self._is_told = False
        self.places.run_file.unlink(missing_ok=True)

    # -- starting ---------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything and wait until all of it is ready.

        Raises:
            StartFailed: Something did not come up; the end of its log is told.
            ServerMissing: There is no NATS or no Valkey.
        """
        self._prepare()
        self._say(f"starting NATS on {self.nats_url} and Valkey on {self.redis_url}")
        await self._start_servers()
        await self._init()
        if self.wish.venue is None:
            await self._start_venue()
        self._is_told = True
        self.tell()
        self._say(f"venue: {self.account_key().rest_url}")
        for name in SERVICES:
            await self.supervisor.start(self._service(name))
        for name in SERVICES:
            await self.supervisor.until_ready(name, _READY_S)
        self.tell()
        self._say(f"ready: {', '.join(SERVICES)}; see {self.places.run_file}")

    def _prepare(self) -> None:
        places = self.places
        if self.wish.is_fresh:
            shutil.rmtree(places.home, ignore_errors=True)
            shutil.rmtree(places.logs, ignore_errors=True)
        elif self.wish.venue is None:
            self._forget_old_venue()
        for folder in (places.home, places.nats, places.valkey, places.venue, places.logs):
            folder.mkdir(parents=True, exist_ok=True)
        for name in SERVICES:
            places.state(name).mkdir(parents=True, exist_ok=True)
        self._credentials = identities.write(
            self.wish.env, places, nats_port=self.ports.nats, monitor_port=self.ports.monitor
        )

    def _forget_old_venue(self) -> None:
        """Drop what describes a simulated venue that is gone; CONTROL and the latches stay.

        A simulated venue is new at every start. A journal of orders and fills at
        the old one would be a lie about the new one, while a halt stays a halt.
        """
        shutil.rmtree(self.places.venue, ignore_errors=True)
        kept = self.subjects.stream_name(Stream.CONTROL)
        for streams in self.places.nats.glob("**/streams"):
            for folder in streams.iterdir():
                if folder.is_dir() and folder.name != kept:
                    shutil.rmtree(folder, ignore_errors=True)

    async def _start_servers(self) -> None:
        config = identities.config_path(self.places)
        await self.supervisor.start(
            self._spec("nats", servers.nats_argv(config), partial(servers.is_nats_ready, self.monitor_url))
        )
        await self.supervisor.start(
            self._spec(
                "valkey",
                servers.valkey_argv(self.ports.redis, self.places.valkey),
                partial(servers.is_valkey_ready, self.ports.redis),
            )
        )
        for name in ("nats", "valkey"):
            await self.supervisor.until_ready(name, _READY_S)

    async def _init(self) -> None:
        password = self._credentials["init"].read_text(encoding="utf-8").strip()
        made = await create_streams(self.nats_url, self.wish.env, user="init", password=password)
        if made:
            self._say(f"made {', '.join(made)}")

    async def _start_venue(self) -> None:
        file = self.places.venue / "venue.json"
        file.unlink(missing_ok=True)

        async def is_ready() -> bool:
            return file.exists()

        await self.supervisor.start(
            self._spec(
                "simexchange",
                (sys.executable, "-m", "services.simexchange"),
                is_ready,
                env=venue_env(
                    self.wish,
                    rest_port=self.ports.venue_rest,
                    ws_port=self.ports.venue_ws,
                    metrics_port=self.ports.metrics["simexchange"],
                    venue_file=file,
                ),
                rule=RestartRule(is_wanted=False),
            )
        )
        await self.supervisor.until_ready("simexchange", _READY_S)
        self.venue = msgspec.json.decode(file.read_bytes(), type=VenueFile)

    def _service(self, name: str) -> ProcessSpec:
        port = self.ports.metrics[name]
        told = {
            "DORA_CONFIG": str(self.wish.config_of(name)),
            "DORA_ENV": self.wish.env.value,
            "DORA_RUN_ID": self._run_id,
            "DORA_STATE_DIR": str(self.places.state(name)),
            "DORA_METRICS_PORT": str(port),
            "NATS_URL": self.nats_url,
            "NATS_USER": name,
            "NATS_PASSWORD_FILE": str(self._credentials[name]),
            "NATS_MONITORING_URL": self.monitor_url,
            "REDIS_URL": self.redis_url,
        }
        if name not in KEYLESS:
            venue = self.account_key(name)
            told |= {
                "DORA_VENUE_REST_URL": venue.rest_url,
                "DORA_VENUE_WS_URL": venue.ws_url,
                "DORA_VENUE_KEY_ID": venue.key_id,
                "DORA_VENUE_KEY_FILE": str(venue.key_file),
            }
        return self._spec(
            name,
            (sys.executable, "-m", f"services.{name}"),
            partial(servers.is_http_ok, f"http://127.0.0.1:{port}/healthz"),
            env=clean_env() | told,
        )

    def _spec(
        self,
        name: str,
        argv: tuple[str, ...],
        is_ready: Callable[[], Awaitable[bool]],
        *,
        env: dict[str, str] | None = None,
        rule: RestartRule | None = None,
    ) -> ProcessSpec:
        return ProcessSpec(
            name=name,
            argv=argv,
            env=clean_env() if env is None else env,
            log=self.places.logs / f"{name}.log",
            stage=_STAGES[name],
            stop_grace_s=_GRACE_S.get(name, 10.0),
            is_ready=is_ready,
            rule=rule or RestartRule(),
        )


def clean_env() -> dict[str, str]:
    """Return our environment without what would leak another Dora's settings into a child."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DORA_", "NATS_", "REDIS_", "DEMO_KEY", "PROD_KEY"))
    }
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def venue_env(
    wish: Wish, *, rest_port: int, ws_port: int, metrics_port: int, venue_file: Path
) -> dict[str, str]:
    """Return the environment of the simulated venue."""
    told = {
        "DORA_CONFIG": str(wish.config_of("simexchange")),
        "DORA_ENV": wish.env.value,
        "DORA_METRICS_PORT": str(metrics_port),
        "DORA__SIM__REST_PORT": str(rest_port),
        "DORA__SIM__WS_PORT": str(ws_port),
        "DORA__SIM__VENUE_FILE": str(venue_file),
        "DORA__SIM__SPEED": str(wish.speed),
    }
    if wish.tape is not None:
        told["DORA__SIM__TAPE"] = str(wish.tape)
    if wish.seed is not None:
        told["DORA__SIM__SYNTHETIC_SEED"] = str(wish.seed)
    return clean_env() | told

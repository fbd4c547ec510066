"""The rig that provokes each trigger in real processes. Read this to write a provocation.

Running: a real NATS server, the simulated venue, one executor (its gate is what is measured; it
lives through all triggers) and a riskguard, started anew for every trigger. Played by the rig:
marketdata, strategy and reconciler (`played.py`). Quiet markets: nothing trades by itself.

A provocation is a module ``provocations/<trigger name>.py``::

    LIMITS = {"position_e2": 2_000}            # on top of wide ones (tests/support/riskguard_limits.py);
                                               # a path below `limits`: "conduct.messages_per_minute"
    SETTINGS = {"timing.book_stale_ms": 2_000} # optional: any other path of the riskguard's configuration
    WINDOW_MS = 0                              # optional: what detection needs by definition (a silence of
                                               # 3 s: 3_000; seen by listings only: listing_ms). The bound
                                               # is this + 1,000 ms. Say why in the module's docstring.
    MEASURED_AT = "gate"                       # or "permit": where the provocation silences the executor
                                               # itself, its gate cannot be asked; say why

    async def provoke(rig: Rig) -> float:      # makes it true at its source, returns the moment
        ...                                    # (monotonic seconds, taken BEFORE the last step)

    async def relieve(rig: Rig) -> None:       # undoes it; when it cannot be undone (a loss, a window of
        await rig.widen()                      # a minute), start the riskguard without LIMITS

    async def prepare(rig: Rig) -> None: ...   # optional: before the riskguard starts with LIMITS;
                                               # e.g. fresh markets, fills that must be old
    async def limits(rig: Rig) -> dict: ...    # optional, in place of LIMITS, where the right number
                                               # depends on what earlier provocations left (day's loss):
                                               # `rig.standing` is the riskguard's `limits` answer
    async def exhaust(rig: Rig) -> None: ...   # optional, for whoever wants more proven: called after
                                               # the halt, before `relieve`; assert what you like

What the harness does: starts the riskguard with your limits, waits until the gate RUNS and nothing is
red, calls `provoke`, waits for the closed gate, and checks that the first trigger on record
(`audit.risk`) and in the halt (latching) or in the closed permit (pausing) is this one. A latching
trigger must then refuse a resume while red; after `relieve` it is resumed in two steps. A pausing one
must open by itself after `relieve`. Then the played world is reset, faults are cleared, and what rests
is up to the executor. Positions, fills and the day's result stay: use `await rig.fresh_market()` and
limits relative to what is there.

What you have::

    rig.venue      Counter (`counter.py`): fill, take, place, cancel, flatten, truth, positions, resting,
                   fault, clear_faults, switch, ask("/sim path", body)
    rig.played     Played (`played.py`): markets[name].bid_e4 …, quotes, beats["strategy"].build …,
                   is_recon_open, recon_reasons, drifts, is_books_silent, publish/append of any message
    rig.executor, rig.riskguard   ServiceProcess (`processes.py`): freeze, thaw, kill, start, end, pid
    rig.nats       NatsServer (tests/support/nats_server.py): freeze, thaw, restart
    rig.bus, rig.subjects         a connection that may publish anything
    await rig.status("executor")  StatusV1;  await rig.until(condition, "what")
    await rig.quote(market)       let the executor quote a market and wait until both quotes rest
    await rig.fresh_market(shard=0)  a market in its own series and event, its book being said
    await rig.widen(**limits)     start the riskguard again, with wide limits
    rig.now_s()                   the monotonic clock

Try one: ``nice -n 19 .venv/bin/pytest -q -p no:cacheprovider tests/controls -k <trigger name>``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
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
from libs.common.messages.target import QuoteV1
from libs.common.subjects import Subjects
from tests.controls.counter import Counter
from tests.controls.played import QUOTES, Played, PlayedMarket
from tests.controls.processes import ServiceProcess
from tests.controls.watch import Watch
from tests.support.nats_server import NatsServer, own_server, plain_config
from tests.support.riskguard_limits import WIDE

SHARDS: Final = (0, 1, 2)
PATIENCE_S: Final = 90.0
"""For what is prepared and put right; what is measured has bounds of its own."""
_READY_S: Final = 90.0
_SIM: Final = ROOT / "deploy" / "config" / "sim"
_STATUS: Final = WireDecoder(StatusV1)

EXECUTOR_OTHER_THAN_SIM: Final = {
    # A machine that does everything at once is late now and then; what is measured is a trigger.
    "EPOCH__LEASE_S": "6.0",
    "EPOCH__NO_RISK_S": "4.0",
    "EPOCH__CANCEL_ALL_S": "5.0",
    "GATE__ECHO_AGE_S": "3.0",
    "GATE__BOOK_AGE_MS": "5000",
}


class Rig:
    """The running world; `a_rig` makes one."""

    def __init__(
        self, folder: Path, nats: NatsServer, venue: VenueFile, client: httpx.AsyncClient, bus: NatsBus
    ) -> None:
        self.folder = folder
        self.nats = nats
        self.bus = bus
        self.subjects = Subjects(Env.SIM)
        self.venue = Counter(venue, client)
        self.played = Played(bus, self.subjects)
        self.watch = Watch(bus, self.subjects)
        self.standing: dict[str, Any] = {}
        """The riskguard's last answer to `limits`, before it was ended for the present provocation."""
        trade, risk = (_key(venue, name) for name in ("trade", "riskguard"))
        common = {"DORA_ENV": "sim", "NATS_URL": nats.url}
        self.executor = ServiceProcess(
            "executor",
            folder,
            common
            | trade
            | {"DORA_CONFIG": str(_SIM), "DORA_STATE_DIR": str(folder / "state")}
            | {f"DORA__{name}": value for name, value in EXECUTOR_OTHER_THAN_SIM.items()},
        )
        self.riskguard = ServiceProcess(
            "riskguard",
            folder,
            common | risk | {"DORA_CONFIG": str(_SIM), "DORA_STATE_DIR": str(folder / "state-risk")},
        )

    @staticmethod
    def now_s() -> float:
        """Return the monotonic clock, seconds; all processes of one machine share it."""
        return time.monotonic()

    # Questions -----------------------------------------------------------------------------------------

    async def status(self, service: str) -> StatusV1:
        """Return a service's own word.

        Raises:
            BusError: It does not answer.
        """
        answer = await self.bus.request(self.subjects.of("svc", service, "status"), b"", timeout_s=2)
        return _STATUS.decode(answer.data)

    async def ask(self, service: str, endpoint: str, body: object = None) -> dict[str, Any]:
        """Return the answer of an endpoint.

        Raises:
            BusError: It does not answer.
        """
        data = b"" if body is None else msgspec.json.encode(body)
        answer = await self.bus.request(self.subjects.of("svc", service, endpoint), data, timeout_s=5)
        told: dict[str, Any] = msgspec.json.decode(answer.data)
        return told

    async def until(
        self,
        condition: Callable[[], Awaitable[object] | object],
        what: str,
        timeout_s: float = PATIENCE_S,
        poll_s: float = 0.05,
    ) -> Any:
        """Return the condition's first true value; no answer counts as not yet.

        Raises:
            AssertionError: Not in time; the text has the last value and the logs' ends.
        """
        deadline_s = self.now_s() + timeout_s
        while True:
            try:
                value = condition()
                if isinstance(value, Awaitable):
                    value = await value
                if value:
                    return value
            except (BusError, MalformedMessage, AssertionError) as e:
                value = e
            if self.now_s() > deadline_s:
                raise AssertionError(f"{what} within {timeout_s:.0f} s, was {value!r}\n{self.logs()}")
            await asyncio.sleep(poll_s)

    def logs(self) -> str:
        """Return the ends of the logs."""
        return "".join(f"--- {p.name}\n{p.tail(1_500)}\n" for p in (self.executor, self.riskguard))

    # Markets and quotes --------------------------------------------------------------------------------

    async def fresh_market(self, shard: int = 0) -> str:
        """List a market in a series and an event of its own, begin to say its book, return its name."""
        name = await self.venue.list_market(shard)
        self.played.add(name, shard)
        await self.until(self.played.say_statuses, f"what {name} is, said")
        await self.until(self.played.say_tops, f"the touch of {name}, said")
        return name

    async def quote(self, market: str, quotes: Sequence[QuoteV1] = QUOTES) -> None:
        """Let the executor quote a market and wait until all of it rests at the venue."""
        self.played.quotes[market] = tuple(quotes)
        await self.until(self.played.say_targets, f"a target of {market}, said")

        async def rests() -> bool:
            return len(await self.venue.resting(market)) >= len(quotes)

        await self.until(rests, f"quotes in {market}")

    async def unquote(self, market: str) -> None:
        """Let strategy want nothing in a market any more, and wait until nothing of ours rests there."""
        self.played.quotes[market] = ()
        await self.until(self.played.say_targets, f"an empty target of {market}, said")

        async def is_empty() -> bool:
            return not await self.venue.resting(market)

        await self.until(is_empty, f"nothing resting in {market}")
        del self.played.quotes[market]

    # The riskguard ---------------------------------------------------------------------------------------

    async def guard(
        self, limits: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> None:
        """Start the riskguard anew with wide limits and these on top, and wait until it has read all."""
        if self.riskguard.is_alive:
            with contextlib.suppress(BusError):
                self.standing = await self.ask("riskguard", "limits")
            await self.riskguard.end()
        told = {f"limits.{name}": value for name, value in _flat(WIDE).items()}
        told |= {f"limits.{name}": value for name, value in (limits or {}).items()} | dict(settings or {})
        self.riskguard.start(**{_variable(path): _text(value) for path, value in told.items()})

        async def is_ready() -> bool:
            return (await self.status("riskguard")).is_ready

        await self.until(is_ready, "a riskguard that has read the account", _READY_S)

    async def widen(self, **limits: object) -> None:
        """Start the riskguard anew with wide limits: what was too much is not too much any more."""
        await self.guard(limits)

    async def until_running(self, *, calm_s: float = 0.6) -> None:
        """Wait until the gate runs, nothing is red, and both have been so for a moment."""
        calm_since_s: float | None = None

        async def is_calm() -> bool:
            nonlocal calm_since_s
            said, guard = await self.status("executor"), await self.status("riskguard")
            good = said.state == "running" and guard.state == "running" and not guard.gauges["red_triggers"]
            if not good:
                calm_since_s = None
                raise AssertionError(f"executor {said.state} {said.reasons}, {guard.state} {guard.reasons}")
            if calm_since_s is None:
                calm_since_s = self.now_s()
            return self.now_s() - calm_since_s >= calm_s

        await self.until(is_calm, "a gate that runs", poll_s=0.1)

    # Resuming ------------------------------------------------------------------------------------------

    async def offer(self) -> Any:
        """Ask for a resume and return the offer.

        Raises:
            OperationRefused: The riskguard refuses, with its reasons.
        """
        return await offer_resume(self.bus, self.subjects, "controls", "controls")

    async def resume(self) -> None:
        """Resume in two steps, as soon as it is granted."""

        async def attempt() -> bool:
            try:
                offer = await self.offer()
                await confirm_resume(self.bus, self.subjects, offer, "controls", "controls")
            except OperationRefused as e:
                raise AssertionError(f"refused: {e}") from None
            return True

        await self.until(attempt, "a resume", poll_s=0.3)

    async def reset(self) -> None:
        """Undo what a provocation may have left: faults, played words, frozen processes, halts."""
        await self.venue.clear_faults()
        self.played.reset()
        for process in (self.executor, self.riskguard):
            if process.is_alive:
                process.thaw()
        if not self.executor.is_alive:
            self.executor.start()

    def market(self, name: str) -> PlayedMarket:
        """Return what marketdata says about a market, to be changed."""
        return self.played.markets[name]


@contextlib.asynccontextmanager
async def a_rig(folder: Path) -> AsyncIterator[Rig]:
    """Yield a world with an executor that runs, a riskguard with wide limits, and quotes on every shard."""
    folder.mkdir(parents=True, exist_ok=True)
    venue_file = folder / "venue" / "venue.json"
    simexchange = ServiceProcess(
        "simexchange",
        folder,
        {
            "DORA_ENV": "sim",
            "DORA__SIM__VENUE_FILE": str(venue_file),
            "DORA__SIM__SYNTHETIC_EVENTS_PER_S": "0.001",
            "DORA__SIM__TIER": "prestige",
            "DORA__SIM__READ_LAG_S": "0.3",
        },
    )
    with own_server(_patient) as nats:
        await create_streams(nats.url, Env.SIM)
        simexchange.start()
        try:
            venue = await _venue_file(venue_file, simexchange)
            bus = await NatsBus.connect(nats.url, name="controls", env=Env.SIM)
            async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
                rig = Rig(folder, nats, venue, client, bus)
                tasks = [asyncio.create_task(rig.played.run()), asyncio.create_task(rig.watch.run())]
                try:
                    await _begin(rig)
                    yield rig
                finally:
                    await rig.executor.end()
                    await rig.riskguard.end()
                    for task in tasks:
                        task.cancel()
                    ended = await asyncio.gather(*tasks, return_exceptions=True)
                    with contextlib.suppress(BusError):
                        await bus.drain()
                    for failure in ended:
                        if not isinstance(failure, asyncio.CancelledError):
                            raise failure
        finally:
            await simexchange.end()


async def _begin(rig: Rig) -> None:
    markets = [await rig.fresh_market(shard) for shard in SHARDS]
    rig.executor.start()
    await rig.guard()

    async def has_recovered() -> bool:
        return (await rig.status("executor")).is_ready

    # Born halted; the first resume names the halt of its birth.
    await rig.until(has_recovered, "an executor that has recovered")
    await rig.resume()
    await rig.until_running()
    for market in markets:
        await rig.quote(market)


async def _venue_file(path: Path, process: ServiceProcess) -> VenueFile:
    deadline_s = time.monotonic() + _READY_S
    while not path.exists():
        assert process.is_alive, f"a venue, was {process.tail()}"
        assert time.monotonic() < deadline_s, f"a venue within {_READY_S:.0f} s"
        await asyncio.sleep(0.02)
    return msgspec.json.decode(path.read_bytes(), type=VenueFile)


def _patient(port: int, http_port: int, store: str) -> str:
    """Return a server's configuration that forgives a busy machine a late answer to a ping."""
    return plain_config(port, http_port, Path(store)).replace('ping_interval: "1s"', 'ping_interval: "10s"')


def _key(venue: VenueFile, name: str) -> dict[str, str]:
    entry = next(account for account in venue.accounts if account.name == name)
    return {
        "DORA_VENUE_REST_URL": venue.rest_url,
        "DORA_VENUE_WS_URL": venue.ws_url,
        "DORA_VENUE_KEY_ID": entry.key_id,
        "DORA_VENUE_KEY_FILE": entry.key_file,
    }


def _flat(value: msgspec.Struct, prefix: str = "") -> dict[str, object]:
    """Return the fields of nested structs by their dotted path."""
    found: dict[str, object] = {}
    for name in value.__struct_fields__:
        inner = getattr(value, name)
        if isinstance(inner, msgspec.Struct):
            found |= _flat(inner, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = inner
    return found


def _variable(path: str) -> str:
    return "DORA__" + path.upper().replace(".", "__")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

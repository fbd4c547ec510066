"""The executor's whole world on one virtual loop: real executor, real venue, memory broker, one script.

Nothing of the executor is replaced but what cannot live without a thread or a socket:
the halt listener hears on the loop, headers are signed by a constant, the latch file
is a value, and the private feed's session is fed by the venue's own hub. The wiring is
the service's own, so that what it gains is under test by itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.common.bus.api import Message
from libs.common.bus.memory import MemoryBroker
from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from libs.common.kalshi.session import FeedSession
from libs.common.messages.base import encode
from libs.common.messages.control import HaltV1, PermitV1, ResumeV1
from libs.common.messages.market import BandV1
from libs.common.messages.target import QuoteV1
from libs.common.runtime.config import Common, Venue
from libs.common.runtime.errors import FenceLost
from libs.common.runtime.latch_file import LatchFile
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.executor.config import Config, Epoch, Evidence, Gating, Groups, Planning
from services.executor.shell import service
from services.executor.shell.halt_listener import HaltListener
from services.executor.shell.service import ExecutorApp
from services.executor.wiring import wire
from services.simexchange.core.channels import Hub
from services.simexchange.core.fifo_book import FifoBook
from services.simexchange.core.markets import EventSpec, MarketSpec, SeriesSpec
from services.simexchange.core.orders import TimeInForce
from services.simexchange.core.requests import CreateRequest
from services.simexchange.core.subscriptions import Session
from services.simexchange.core.venue import Venue as VenueCore
from services.simexchange.shell.auth import Key, KeyRing
from services.simexchange.shell.rest import RestFace
from tests.faults.auditor import Auditor
from tests.faults.bus import ProcessBus
from tests.faults.line import Asked, Door, Wire
from tests.faults.loop import OWNER, VirtualLoop
from tests.faults.process import Act, Decide, Kind, Process, State
from tests.support.bus import ENV
from tests.support.executor_builders import LIMITS, a_status, a_target, a_top
from tests.support.runtimes import runtime_of

MS: Final = 1_000_000
ACCOUNT: Final = "main"
OUTSIDER: Final = "outsider"
KEY_ID: Final = "trade"
START_NS: Final = 1_800_000_000_000_000_000
MONO_NS: Final = 1_000_000_000_000
RESTART_NS: Final = 40 * MS
REST_NS: Final = 6_000 * MS
FEED_NS: Final = 1_800_000
A, B, C = "ONE-E-A", "ONE-E-B", "TWO-F-C"
SHARDS: Final = {A: 0, B: 0, C: 2}
EVENTS: Final = {A: "ONE-E", B: "ONE-E", C: "TWO-F"}
_CENTS: Final = (BandV1(start_e4=0, end_e4=10_000, step_e4=100),)
_CLOSE_MS: Final = START_NS // MS + 86_400_000
Quotes = dict[str, tuple[QuoteV1, ...]]


class WorldClock:
    """The clocks of everybody whose machine runs."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now_ns(self) -> int:
        """Return Unix time."""
        return START_NS + self._loop.now_ns

    def mono_ns(self) -> int:
        """Return the monotonic clock."""
        return MONO_NS + self._loop.now_ns


class ProcessClock(WorldClock):
    """The clocks of one process: the wall clock is set right on waking, the monotonic one stood still."""

    def __init__(self, loop: VirtualLoop, process: Process) -> None:
        super().__init__(loop)
        self._process = process

    def mono_ns(self) -> int:
        """Return the monotonic clock."""
        return super().mono_ns() - self._process.behind_ns


class Shelf:
    """The one file of a machine, as a value that outlives its processes; stands for a path."""

    def __init__(self) -> None:
        self.data: bytes | None = None

    def read_bytes(self) -> bytes:
        """Return the file's bytes."""
        if self.data is None:
            raise FileNotFoundError("latch")
        return self.data


class ShelfLatch(LatchFile):
    """The latch file, written in one piece or not at all."""

    def __init__(self, shelf: Shelf, process: Process) -> None:
        super().__init__(Path("nowhere"), "executor")
        path: Any = shelf
        self._path = path
        self._shelf = shelf
        self._process = process

    def _write(self, record: Any) -> None:
        data = msgspec.json.encode(record)
        self._process.leave(Kind.EFFECT, "write latch", lambda: setattr(self._shelf, "data", data))


class AtOnce:
    """A thread of the latch writer's that needs no thread."""

    def submit(self, work: Callable[..., None], *args: Any) -> Future[None]:
        """Do the work now."""
        future: Future[None] = Future()
        work(*args)
        future.set_result(None)
        return future


class LoopListener(HaltListener):
    """The halt listener without its thread: hears on the loop itself."""

    def __init__(self, wired: HaltListener, bus: ProcessBus, loop: VirtualLoop, clock: WorldClock) -> None:
        super().__init__(wired._connect, wired._pattern, wired._flag, wired._on_heard)
        self._bus = bus
        self._main = loop
        self._clock = clock

    async def start(self) -> None:
        """Listen."""
        await self._bus.each(self._pattern, self._on_message)

    async def _on_message(self, message: Message) -> None:
        await super()._on_message(message)
        self._flag.heard_ns = self._clock.mono_ns()

    @property
    def is_alive(self) -> bool:
        """Return True."""
        return True

    async def stop(self) -> None:
        """Do nothing."""


class ConstantSigner:
    """Signs at no cost; the venue's ring believes it."""

    key_id = KEY_ID

    def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        """Return headers with a stamp of now."""
        return {
            "KALSHI-ACCESS-KEY": KEY_ID,
            "KALSHI-ACCESS-TIMESTAMP": str(now_ms),
            "KALSHI-ACCESS-SIGNATURE": "c2lnbmVk",
        }


class SilentLog(EventLog):
    """Remembers nothing, or tells the world."""

    def __init__(self, tell: Callable[[str, str, dict[str, object]], None] | None) -> None:
        super().__init__()
        self._tell = tell

    def event(
        self,
        event_type: str,
        message: str = "",
        *,
        level: str = "INFO",
        error: BaseException | None = None,
        **fields: object,
    ) -> None:
        """Pass a line on."""
        if self._tell is not None:
            self._tell(event_type, message + (f" {error!r}" if error else ""), fields)


Mutate = Callable[[ExecutorApp, ProcessBus], None]


@dataclass
class World:
    """Everybody.

    Attributes:
        decide: Asked at every point of every process.
        key_file: Of the venue key; read by the wiring, believed by nobody.
        mutate: Breaks a freshly wired executor; for the test of the tests.
        tell: Takes every line that the executor logs; for repeating one run.
    """

    decide: Decide
    key_file: Path
    seed: int = 1
    mutate: Mutate = lambda _app, _bus: None
    tell: Callable[[str, str, dict[str, object]], None] | None = None
    loop: VirtualLoop = field(default_factory=VirtualLoop)
    processes: list[Process] = field(default_factory=list)
    wanted: Quotes = field(default_factory=dict)
    is_script_over: bool = False
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.clock = WorldClock(self.loop)
        self.subjects = Subjects(ENV)
        self.broker = MemoryBroker(ENV, self.clock)
        now_ns = self.clock.now_ns()
        self.venue = VenueCore(chance=self.chance, seed=self.seed, read_lag_ns=25 * MS)
        for name in (ACCOUNT, OUTSIDER):
            cash = {0: 1_000_000_000, 2: 1_000_000_000}
            self.venue.add_account(name, tier="prestige", cash_by_shard=cash, now_ns=now_ns)
        self._list_markets(now_ns)
        self.auditor = Auditor(self.venue, self.broker, ACCOUNT)
        ring = KeyRing()
        ring.keys[KEY_ID] = Key(KEY_ID, ACCOUNT, lambda _s, _m: None, frozenset(("read", "write")))
        self.hub = Hub(self.venue)
        self.door = Door(RestFace(self.venue, ring, self.clock, self._pump))
        self.door.is_cut = self._is_cut
        self.cuts: list[str] = []
        self.on_create: list[Callable[[], None]] = []
        self._here = Shelf()
        self._lines: list[tuple[Process, Session, asyncio.Queue[bytes]]] = []
        self._sequence = self._permits = 0
        self._crashes = 0
        setattr(service, "run_feed", _feed)  # noqa: B010 - the name is imported there

    # Running

    def run(self) -> list[str]:
        """Run the script to rest and return what was broken."""
        self._control("ctl.halt", "init", encode(HaltV1(reason="born halted")))
        self._resume()
        self.start()
        tasks = [self._permit(), self._publish_books(), self._strategy(), self._script()]
        self._tasks = [self.loop.create_task(work, context=Context()) for work in tasks]
        self.loop.run_until(self._is_over)
        if not self.auditor.breaches and (leader := self.leader()) is not None:
            self.auditor.at_rest(leader)
        self.auditor.breaches.extend(self.loop.errors)
        for task in self._tasks:
            if task.done() and task.exception() is not None:
                self.auditor.breach(f"the script: {task.exception()!r}")
        return self.auditor.breaches

    def leader(self) -> Any:
        """Return the engine that leads and trades, or None."""
        for process in reversed(self.processes):
            if process.app is not None and process.state is State.RUNNING and not process.end:
                engine = process.app._engine
                if engine.epoch.is_leading and engine.account.gate.is_recovered:
                    return engine
        return None

    def _is_over(self) -> bool:
        if self.auditor.breaches:
            return True
        if self.loop.now_ns > REST_NS:
            self.auditor.breach(f"not at rest after {REST_NS // MS} ms: {self.unrest()}")
            return True
        return self.is_script_over and self.loop.now_ns >= self._look_ns and not self.unrest(look=True)

    _look_ns: int = 0

    def unrest(self, *, look: bool = False) -> str:
        """Return why this is not rest."""
        if look:
            self._look_ns = self.loop.now_ns + 5 * MS
        if any(process.state is State.PAUSED for process in self.processes):
            return "somebody sleeps"
        alive = [p.app for p in self.processes if p.state is State.RUNNING and not p.end]
        leading = [one for one in alive if one is None or one._engine.epoch.is_leading]
        if len(leading) != 1 or leading[0] is None:
            return f"{len(leading)} lead: {[(p.life, p.state.name, p.end) for p in self.processes]}"
        app, engine = leading[0], leading[0]._engine
        status = app.status()
        if status.state != "running":
            return f"{status.state}: {status.reasons}"
        why = self.auditor.unrest(engine, self.wanted)
        if not why and (app._publisher.waiting or engine.quoter.batches_open):
            why = "records wait"
        if not why and engine.raw_residuals != (0, 0):
            why = f"residuals {engine.raw_residuals}"
        return why

    # Processes

    def start(self, *, elsewhere: bool = False) -> Process:
        """Start an executor, on a machine of its own if it stands in for one that sleeps."""
        if elsewhere:
            self._here = Shelf()
        process = Process(
            life=len(self.processes) + 1,
            loop=self.loop,
            decide=self.decide,
            on_act=self._on_act,
            on_step=self._on_step,
            open_line=self._open_line,
        )
        self.processes.append(process)
        shelf = self._here
        process.task = self.loop.create_task(self._live(process, shelf), context=process.context)
        process.task.add_done_callback(
            lambda _: self.loop.in_world(0, lambda: self._buried(process)), context=Context()
        )
        return process

    async def _live(self, process: Process, shelf: Shelf) -> None:
        try:
            await self._work(process, shelf)
        except asyncio.CancelledError:
            process.end = process.end or "cancelled"
        except BaseException as e:  # noqa: BLE001 - the process's outermost frame
            leaves = _leaves(e)
            process.end = "; ".join(sorted({repr(one) for one in leaves}))
            if not all(isinstance(one, FenceLost) for one in leaves):
                self.auditor.breach(f"life {process.life} ended: {process.end}")

    async def _work(self, process: Process, shelf: Shelf) -> None:
        bus = ProcessBus(ENV, self.broker, process)
        clock = ProcessClock(self.loop, process)
        runtime = runtime_of("executor", self._config(), bus, instance=f"life-{process.life}", clock=clock)
        object.__setattr__(runtime, "log", SilentLog(self._teller(process)))
        app = await wire(runtime)
        app._listener = LoopListener(app._listener, bus, self.loop, clock)
        presigner: Any = app._presigner
        presigner.start = presigner.stop = lambda: None
        presigner._signer = ConstantSigner()
        writer: Any = app._performer._latch
        app._latch = writer._latch = ShelfLatch(shelf, process)
        writer._thread = AtOnce()
        self.mutate(app, bus)
        process.app, process.bus = app, bus
        await app.run()

    def _teller(self, process: Process) -> Callable[[str, str, dict[str, object]], None] | None:
        tell = self.tell
        if tell is None:
            return None
        return lambda event, message, fields: tell(f"life {process.life} {event}", message, fields)

    def _config(self) -> Config:
        return Config(
            common=Common(account=ACCOUNT, state_dir="nowhere"),
            venue=Venue(
                rest_url="http://venue/trade-api/v2",
                ws_url="ws://venue/trade-api/ws/v2",
                key_id=KEY_ID,
                key_file=str(self.key_file),
            ),
            limits=LIMITS,
            groups=Groups(limit_e2=100_000),
            planning=Planning(hysteresis_ticks=0),
            epoch=Epoch(lease_s=0.4, renew_s=0.1, no_risk_s=0.3, cancel_all_s=0.35),
            gate=Gating(book_age_ms=30_000),
            evidence=Evidence(
                read_lag_s=0.04,
                look_s=0.05,
                misses_max=2,
                absent_after_s=0.1,
                compare_s=0.2,
                clean_reads=2,
                clean_gap_s=0.03,
            ),
        )

    def _on_act(self, process: Process, act: Act) -> None:
        if act is Act.CRASH:
            process.crash()
            self._buried(process)
        elif act in (Act.SLEEP, Act.SUSPEND):
            process.pause(is_suspended=act is Act.SUSPEND)
            self.loop.in_world(RESTART_NS, lambda: _ignore(self.start(elsewhere=True)))
        elif act is Act.CANCEL:
            process.end = "cancelled"
            assert process.task is not None
            process.task.cancel()
        elif act is Act.STOP:
            process.end = "stopped"
            self.loop.create_task(self._stop(process), context=process.context)
        elif act is Act.WAKE:
            self._wake_all()

    async def _stop(self, process: Process) -> None:
        if process.app is not None:
            was_leading = process.app._engine.epoch.is_leading
            async with asyncio.timeout(10.0):
                await process.app.stop("SIGTERM")
            resting = [o for rows in self.venue.accounts[ACCOUNT].resting.values() for o in rows.values()]
            if was_leading and resting and process.app._engine.account.gate.is_rebuilt:
                self.auditor.breach(f"stopped in order and left {len(resting)} orders")
        assert process.task is not None
        process.task.cancel()

    def _buried(self, process: Process) -> None:
        """Start the next life after an end, as a supervisor does; the market moves on meanwhile."""
        if process.state is State.DEAD and process.is_exempt:
            return
        process.crash()
        process.is_exempt = True
        self._lines = [line for line in self._lines if line[0] is not process]
        self.loop.in_world(15 * MS, self._take_anything)
        if not any(p.state is State.RUNNING for p in self.processes):
            self.loop.in_world(RESTART_NS, self._restart)

    def _restart(self) -> None:
        if not any(p.state is State.RUNNING for p in self.processes):
            self.start()

    def _on_step(self, process: Process) -> None:
        if process.bus is not None and process.bus.failure is not None and not process.end:
            self.auditor.breach(f"life {process.life}: a handler raised {process.bus.failure!r}")
        if process.app is not None:
            engine = process.app._engine
            if engine.account.gate.is_recovered and engine.epoch.number > self.auditor.fenced_epoch:
                self.auditor.fenced(engine.epoch.number)
                self.on_fenced(process)

    def on_fenced(self, process: Process) -> None:
        """Wake whoever sleeps, once a leader says that it has fenced the epochs before its own."""
        del process
        self.loop.in_world(0, self._wake_all)

    def _wake_all(self) -> None:
        for process in self.processes:
            process.wake()

    # The venue

    def _list_markets(self, now_ns: int) -> None:
        cents = grid_of_steps((0, 10_000, 100))
        for market, event in EVENTS.items():
            series = event.partition("-")[0]
            if series not in self.venue.floor.series:
                self.venue.add_series(SeriesSpec(series, series, shard=SHARDS[market]))
                self.venue.add_event(EventSpec(event, series, event, shard=SHARDS[market]), now_ns)
            spec = MarketSpec(market, event, market, cents, now_ns, now_ns + 86_400 * 1_000 * MS)
            self.venue.add_market(spec, FifoBook(), now_ns)

    async def _open_line(self, process: Process, protocol: asyncio.Protocol) -> asyncio.Transport:
        line = Wire(process, protocol, self.door)
        await process.turn(lambda: None, "connect")
        protocol.connection_made(line)
        return line

    def _is_cut(self, asked: Asked) -> bool:
        if asked == ("POST", "/portfolio/events/orders/batched"):
            for act in self.on_create:
                act()
            self.on_create.clear()
        if " ".join(asked) in self.cuts:
            self.cuts.remove(" ".join(asked))
            return True
        return False

    def _pump(self) -> None:
        events = self.venue.drain()
        if not events:
            return
        now_ns = self.clock.now_ns()
        self.auditor.on_events(events, now_ns)
        self.hub.publish(events, now_ns // MS)
        for process, session, inbox in self._lines:
            for frame in session.out:
                self._carry(process, inbox, frame)
            session.out.clear()

    def _carry(self, process: Process, inbox: asyncio.Queue[bytes], frame: bytes) -> None:
        self.loop.in_world(FEED_NS, lambda: process.hear(lambda: inbox.put_nowait(frame)))

    def _open_feed(self, process: Process) -> tuple[Session, asyncio.Queue[bytes]]:
        session = self.hub.open(ACCOUNT)
        inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._lines.append((process, session, inbox))
        return session, inbox

    def take(self, market: str, side: Side, qty_e2: int) -> None:
        """Let the outsider cross with whatever rests on the other side."""
        price = 9_900 if side is Side.BID else 100
        request = CreateRequest(market, side, price, qty_e2, tif=TimeInForce.IMMEDIATE_OR_CANCEL)
        self.venue.create(OUTSIDER, request, self.clock.now_ns())
        self._pump()

    def _take_anything(self) -> None:
        for market, orders in self.venue.accounts[ACCOUNT].resting.items():
            if orders:
                order = next(iter(orders.values()))
                self.take(market, order.side.opposite, 100)
                return

    # Everybody else

    def _control(self, family: str, source: str, data: bytes) -> None:
        self.broker.publish(self.subjects.of(family, source), data)

    def halt(self) -> None:
        """Halt as an operator does."""
        self.auditor.halted_ns = self.clock.now_ns()
        self._control("ctl.halt", "operator", b"fat finger")

    def _resume(self) -> None:
        newest = self.broker.newest(self.subjects.all_of("ctl.halt"))
        assert newest is not None
        resume = ResumeV1(halt_sequence=newest.sequence, nonce="n", reason="go", by="test", expires_ms=0)
        self.auditor.halted_ns = None
        self._control("ctl.resume", "operator", encode(resume))

    async def _permit(self) -> None:
        while True:
            for issuer in ("risk", "recon"):
                self._permits += 1
                permit = PermitV1(
                    issuer=issuer,
                    boot="b",
                    counter=self._permits,
                    account=ACCOUNT,
                    is_open=True,
                    epoch=1_000_000,
                )
                self.broker.publish(self.subjects.of(f"permit.{issuer}", ACCOUNT), encode(permit))
            await asyncio.sleep(0.25)

    async def _publish_books(self) -> None:
        while True:
            for market in SHARDS:
                place = {"event": EVENTS[market], "shard": SHARDS[market], "close_ms": _CLOSE_MS}
                status = a_status(market, grid=_CENTS, **place)
                top = a_top(market, bid_e4=4_000, ask_e4=6_000, as_of_ms=self._now_ms(), **place)
                self.broker.publish(self.subjects.of("md.status", market), encode(status))
                self.broker.publish(self.subjects.of("md.top", market), encode(top))
            await asyncio.sleep(0.2)

    async def _strategy(self) -> None:
        while True:
            self._say_targets()
            await asyncio.sleep(0.15)

    def want(self, **quotes: tuple[QuoteV1, ...]) -> None:
        """Change what the strategy wants of markets ``a``, ``b`` and ``c``, and say so."""
        names = {"a": A, "b": B, "c": C}
        self.wanted |= {names[name]: of_market for name, of_market in quotes.items()}
        self._say_targets()

    def _say_targets(self) -> None:
        for market, quotes in self.wanted.items():
            self._sequence += 1
            target = a_target(
                *quotes,
                market=market,
                sequence=self._sequence,
                event=EVENTS[market],
                expires_ms=self._now_ms() + 600_000,
                origin_mono_ns=self.clock.mono_ns(),
            )
            self.broker.publish(self.subjects.of("target", market), encode(target))

    def _now_ms(self) -> int:
        return self.clock.now_ns() // MS

    async def _later(self, seconds: float) -> None:
        """Let time pass; the day waits for whoever sleeps, so that it is woken into the world it knew."""
        await asyncio.sleep(seconds)
        while any(process.state is State.PAUSED for process in self.processes):
            await asyncio.sleep(0.005)

    async def _script(self) -> None:
        """Live through a day: every kind of request, a fill on entry, a lost answer, a halt, a resume."""
        # The balance may be read once a second, and no order leaves before each shard's cash is known.
        await self._later(1.15)
        # Two groups, then a batch of six; the first is hit before its answer is read.
        self.on_create.append(lambda: self.take(A, Side.ASK, 200))
        self.want(
            a=(bid(4_500, 500), ask(5_500, 500)),
            b=(bid(4_600, 400), ask(5_400, 400)),
            c=(bid(4_400, 300), ask(5_600, 300)),
        )
        await self._later(0.09)
        # A decrease, amends, a cancel, a replacement near the touch; and a fill that crosses them.
        self.want(
            a=(bid(4_500, 200), ask(5_600, 500)),
            b=(ask(5_400, 600),),
            c=(bid(5_900, 300),),
        )
        await self._later(0.002)
        self.take(C, Side.BID, 100)
        await self._later(0.088)
        # A create whose answer is lost after the venue took it.
        self.cuts.append("POST /portfolio/events/orders/batched")
        self.want(b=(bid(4_600, 400), ask(5_400, 600)), c=(bid(4_400, 300),))
        await self._later(0.16)
        # An operator halts while a batch is on its way.
        self.on_create.append(self.halt)
        self.want(a=(bid(4_300, 300), ask(5_900, 300)), c=(bid(4_300, 200), ask(5_700, 200)))
        await self._later(0.12)
        if self.auditor.halted_ns is None:
            self.on_create.clear()
            self.halt()
        await self._later(0.12)
        self._resume()
        await self._later(0.05)
        self.is_script_over = True


def bid(price_e4: int, qty_e2: int) -> QuoteV1:
    """Return a bid."""
    return QuoteV1(side=Side.BID, price_e4=price_e4, qty_e2=qty_e2)


def ask(price_e4: int, qty_e2: int) -> QuoteV1:
    """Return an ask."""
    return QuoteV1(side=Side.ASK, price_e4=price_e4, qty_e2=qty_e2)


async def _feed(
    ws_url: str,
    signer: object,
    session: FeedSession,
    on_events: Callable[[Any, int], Any],
    clock: Any,
    **_: object,
) -> None:
    """Run the private feed's real session on frames of the venue's real hub."""
    process = OWNER.get()
    assert isinstance(process, Process)
    world: World = process.on_step.__self__  # type: ignore[attr-defined]
    line, inbox = world._open_feed(process)

    def say(commands: list[bytes]) -> None:
        world._pump()
        for command in commands:
            world.hub.receive(line, command, world.clock.now_ns() // MS)
        for frame in line.out:
            world._carry(process, inbox, frame)
        line.out.clear()

    await process.turn(lambda: say(session.open()), "feed subscribe")
    while True:
        frame = await inbox.get()
        now_ns = clock.mono_ns()
        events = session.receive(frame, now_ns)
        if events:
            told = on_events(events, now_ns)
            if told is not None:
                await told
        if session.has_commands:
            commands = session.commands()
            process.leave(
                Kind.READ,
                "feed command",
                partial(world.loop.in_world, FEED_NS, partial(say, commands)),
            )


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]


def _ignore(_: object) -> None:
    return None

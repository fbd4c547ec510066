"""Two real executor processes of one account on a NATS server of their own, and everybody else.

The processes are `tests.support.sleepy_executor`: the real executor, which may be told to stop
itself between an intent's acknowledgement and the request. This side plays marketdata (status
and touch), riskguard and reconciler (permits) and strategy (targets), and reads the venue's own
books.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from libs.common.bus.nats import NatsBus
from libs.common.bus.streams import create_streams
from libs.common.domain.grid import grid_of_steps
from libs.common.domain.ids import parse_client_order_id
from libs.common.domain.side import Side
from libs.common.messages.base import WireDecoder, encode
from libs.common.messages.control import PermitV1
from libs.common.messages.execution import EpochV1
from libs.common.messages.market import FeeTermsV1, MarketState, MarketV1, TopV1
from libs.common.messages.target import QuoteV1, TargetV1
from libs.common.subjects import Subjects
from tests.support.bus import ENV
from tests.support.eventually import eventually
from tests.support.executor_builders import LIMITS, a_target
from tests.support.nats_server import NatsServer, wait_until_stopped
from tests.support.resumes import a_resume
from tests.support.sleepy_executor import Woke
from tests.support.venue_process import ROOT, Member, VenueProcess, environment

MARKET = "SIMRAIN-26A-T1"
EVENT = "SIMRAIN-26A"
SHARD = 0
QUOTES = (
    QuoteV1(side=Side.BID, price_e4=5_500, qty_e2=100),
    QuoteV1(side=Side.ASK, price_e4=6_500, qty_e2=100),
)
_EPOCH = WireDecoder(EpochV1)
_EVERY_EPOCH = 1_000_000
_LIMITS = msgspec.structs.replace(LIMITS, reference_age_ms_max=20_000)
"""Ages by the exchange's time are wide, because some wall clocks are wrong on purpose."""
_CONFIG = """
[limits]
{limits}
[groups]
limit_e2 = {limit_e2}
[planning]
hysteresis_ticks = 0
intent_age_ms_max = {intent_age_ms}
[epoch]
lease_s = {lease_s}
renew_s = 0.15
no_risk_s = {no_risk_s}
cancel_all_s = {no_risk_s}
[gate]
book_age_ms = 20_000
[evidence]
read_lag_s = 0.2
look_s = 0.2
misses_max = 3
absent_after_s = 1.0
compare_s = 1.0
clean_reads = 2
clean_gap_s = 0.05
"""


def accepted(books: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Return epoch and acceptance time (venue, ns) of every order the venue ever accepted, by its id."""
    found = {}
    for order in books["orders"]:
        identity = parse_client_order_id(order["client_order_id"])
        assert identity is not None, order
        found[order["order_id"]] = (identity.epoch, order["created_ns"])
    return found


@dataclass
class Process:
    """One executor process."""

    popen: subprocess.Popen[bytes]
    arm: Path
    log: Path
    instance: str

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self.popen.pid

    @property
    def is_stopped(self) -> bool:
        """Return whether it stands still."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False

    def wake(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def woke(self) -> Woke | None:
        """Return what it told of its sleep."""
        try:
            return msgspec.json.decode(self.arm.with_suffix(".woke").read_bytes(), type=Woke)
        except OSError:
            return None

    def stopped_by(self) -> str:
        """Return which of its own checks said no when it woke; empty if none did."""
        try:
            return self.arm.with_suffix(".stopped").read_text(encoding="utf-8").partition(":")[0]
        except OSError:
            return ""

    def tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-3_000:]

    def kill(self) -> None:
        """End it the hard way."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.popen.wait(10)


@dataclass
class Pair:
    """One account: a leader, a standby, and everybody they listen to."""

    nats: NatsServer
    venue: VenueProcess
    member: Member
    folder: Path
    bus: NatsBus
    config: Path
    subjects: Subjects = field(default_factory=lambda: Subjects(ENV))
    processes: list[Process] = field(default_factory=list)
    target: TargetV1 | None = None
    _count: Any = field(default_factory=itertools.count)
    _sequence: Any = field(default_factory=lambda: itertools.count(1))
    _permits: Any = field(default_factory=lambda: itertools.count(1))

    def start(self, *, skew_s: float = 0.0, **env: str) -> Process:
        """Start one more executor; it leads if nobody does, else it stands by."""
        instance = f"{self.member.name}-{next(self._count)}"
        arm, log = self.folder / f"{instance}.arm", self.folder / f"{instance}.log"
        told = environment(
            self.venue.folder,
            DORA_CONFIG=str(self.config),
            DORA_ACCOUNT=self.member.name,
            DORA_INSTANCE=instance,
            DORA_STATE_DIR=str(self.folder / instance),
            NATS_URL=self.nats.url,
            DORA_VENUE_REST_URL=self.venue.rest_url,
            DORA_VENUE_WS_URL=self.venue.ws_url,
            DORA_VENUE_KEY_ID=self.member.key_id,
            DORA_VENUE_KEY_FILE=str(self.member.key_file),
            SLEEPY_ARM=str(arm),
            SLEEPY_SKEW_S=str(skew_s),
            **env,
        )
        with log.open("ab") as out:
            popen = subprocess.Popen(
                (sys.executable, "-m", "tests.support.sleepy_executor"),
                cwd=ROOT,
                env=told,
                stdout=out,
                stderr=out,
            )
        process = Process(popen, arm, log, instance)
        self.processes.append(process)
        return process

    async def resume(self) -> None:
        """Resume by naming the newest halt, as riskguard does; an installation is born halted."""
        newest = await self.bus.last(self.subjects.all_of("ctl.halt"))
        assert newest is not None
        resume = a_resume(newest.sequence, account=self.member.name)
        subject = self.subjects.of("ctl.resume", "operator")
        await self.bus.append(subject, encode(resume), msg_id=f"resume-{newest.sequence}")

    async def epoch(self) -> EpochV1 | None:
        """Return the newest epoch of the journal."""
        last = await self.bus.last(self.subjects.of("exec.epoch", self.member.name))
        return None if last is None else _EPOCH.decode(last.data)

    async def until_led_by(self, *processes: Process, timeout_s: float = 20) -> EpochV1:
        """Wait until one of the processes holds the newest epoch and return it."""
        names = {process.instance for process in processes}
        found: list[EpochV1] = []

        async def is_so() -> bool:
            epoch = await self.epoch()
            if epoch is None or epoch.holder not in names:
                return False
            found[:] = [epoch]
            return True

        await eventually(is_so, timeout_s, poll_s=0.02, what=f"an epoch of {names}")
        return found[0]

    def want(self, *quotes: QuoteV1) -> None:
        """Let the strategy want these quotes from now on."""
        self.target = a_target(
            *quotes,
            market=MARKET,
            sequence=next(self._sequence),
            expires_ms=time.time_ns() // 1_000_000 + 120_000,
            origin_mono_ns=time.monotonic_ns(),
        )

    def books(self, *, ended: bool = False) -> dict[str, Any]:
        """Return the venue's own books of the account."""
        return self.venue.truth(self.member.name, ended=ended)

    def resting(self) -> list[int]:
        """Return the epochs of what rests at the venue."""
        return [epoch for epoch, _ in accepted(self.books()).values()]

    async def until_resting(self, epoch: int | None, timeout_s: float = 20) -> None:
        """Wait until exactly the wanted quotes rest, all of this epoch; None: until nothing rests."""
        wanted = [] if epoch is None else [epoch] * len(QUOTES)
        await eventually(
            lambda: self.resting() == wanted, timeout_s, poll_s=0.03, what=f"resting {wanted} at the venue"
        )

    async def until_asleep(self, process: Process, timeout_s: float = 10) -> None:
        """Wait until the process has stopped itself, all threads of it."""
        await eventually(lambda: process.is_stopped, timeout_s, poll_s=0.01, what="a process asleep")
        wait_until_stopped(process.pid)

    async def until_ended(self, process: Process, timeout_s: float = 20) -> int:
        """Wait for the process's end and return its exit code."""
        await eventually(
            lambda: process.popen.poll() is not None, timeout_s, poll_s=0.02, what="an ended process"
        )
        self.processes.remove(process)
        return process.popen.returncode

    async def play(self) -> None:
        """Publish permits, status, touch and the present target for ever."""
        of, account = self.subjects.of, self.member.name
        while True:
            for issuer in ("risk", "recon"):
                permit = PermitV1(
                    issuer=issuer,
                    boot="b",
                    counter=next(self._permits),
                    account=account,
                    is_open=True,
                    epoch=_EVERY_EPOCH,
                )
                await self.bus.publish(of(f"permit.{issuer}", account), encode(permit))
            await self.bus.publish(of("md.status", MARKET), encode(_STATUS))
            await self.bus.publish(of("md.top", MARKET), encode(_top(time.time_ns() // 1_000_000)))
            if self.target is not None:
                await self.bus.publish(of("target", MARKET), encode(self.target))
            await asyncio.sleep(0.1)


_STATUS = MarketV1(
    market=MARKET,
    event=EVENT,
    series="SIMRAIN",
    shard=SHARD,
    state=MarketState.ACTIVE,
    title="t",
    grid=grid_of_steps((0, 10_000, 100)).bands,
    fee=FeeTermsV1(fee_type="quadratic", multiplier_e4=10_000),
    open_ms=0,
    close_ms=4_000_000_000_000,
    is_exclusive_event=False,
    can_close_early=False,
    trading_active=True,
    sequence=1,
    producer="p",
)


def _top(now_ms: int) -> TopV1:
    return TopV1(
        market=MARKET,
        event=EVENT,
        shard=SHARD,
        state=MarketState.ACTIVE,
        trading_active=True,
        bid_e4=5_900,
        bid_e2=100,
        ask_e4=6_100,
        ask_e2=100,
        last_e4=None,
        close_ms=4_000_000_000_000,
        is_stale=False,
        venue_ms=now_ms,
        as_of_ms=now_ms,
        sequence=1,
        producer="p",
    )


@contextlib.asynccontextmanager
async def executor_pair(
    nats: NatsServer,
    venue: VenueProcess,
    folder: Path,
    name: str,
    *,
    lease_s: float = 1.2,
    no_risk_s: float = 0.8,
    intent_age_ms: int = 500,
    limit_e2: int = 1_000_000,
) -> AsyncIterator[Pair]:
    """Yield a pair without processes yet, with everybody else playing; end every process afterwards."""
    await create_streams(nats.url, ENV)
    config = folder / f"{name}.toml"
    config.write_text(
        _CONFIG.format(
            limits="\n".join(f"{name} = {value}" for name, value in msgspec.to_builtins(_LIMITS).items()),
            lease_s=lease_s,
            no_risk_s=no_risk_s,
            intent_age_ms=intent_age_ms,
            limit_e2=limit_e2,
        ),
        encoding="utf-8",
    )
    bus = await NatsBus.connect(nats.url, name="test", env=ENV)
    pair = Pair(nats, venue, venue.member(name), folder, bus, config)
    await pair.resume()
    playing = asyncio.create_task(pair.play())
    try:
        yield pair
        if playing.done():
            await playing
    finally:
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await playing
        for process in pair.processes:
            process.kill()
        await bus.drain()

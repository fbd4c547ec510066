"""A real executor on a real NATS server against the real simulated exchange, in the test's own loop.

The test plays everybody else: marketdata's touch and status, strategy's targets, the
permits of riskguard and reconciler, the operator's halts and resumes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.common.bus.nats import NatsBus
from libs.common.domain.side import Side
from libs.common.messages.base import encode
from libs.common.messages.control import PermitV1
from libs.common.messages.execution import PositionV1
from libs.common.messages.market import FeeTermsV1, MarketV1, TopV1
from libs.common.messages.target import QuoteV1
from libs.common.runtime.config import Common, Venue
from libs.common.subjects import Subjects
from services.executor.config import Config, Epoch, Evidence, Groups, Planning
from services.executor.shell.service import ExecutorApp
from services.executor.wiring import wire
from tests.support.bus import ENV, Connect
from tests.support.eventually import eventually
from tests.support.exchange import RunningExchange, running_exchange
from tests.support.executor_builders import LIMITS, a_target
from tests.support.resumes import a_resume
from tests.support.runtimes import runtime_of

ACCOUNT = "main"
FAST = Epoch(lease_s=1.5, renew_s=0.2, no_risk_s=1.0, cancel_all_s=1.2)


@dataclass
class Executor:
    """One running executor; ``crash`` ends it as a kill does, without a word."""

    app: ExecutorApp
    bus: NatsBus
    task: asyncio.Task[None]

    @property
    def engine(self) -> Any:
        """Return the core, to look inside."""
        return self.app._engine

    def counter(self, name: str) -> int:
        """Return a counter of the status."""
        return self.app.status().counters.get(name, 0)

    def gauge(self, name: str) -> float:
        """Return a gauge of the status."""
        return self.app.status().gauges.get(name, 0)

    async def crash(self) -> None:
        """End it in the middle of whatever it does."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
            await self.task
        await self.app._listener.stop()

    async def stop(self) -> None:
        """End it in order."""
        if not self.task.done():
            await self.app.stop("test over")
        await self.crash()


@dataclass
class World:
    """Everybody but the executor."""

    bus: NatsBus
    exchange: RunningExchange
    connect: Connect
    folder: Path
    nats_url: str
    market: str
    shard: int
    subjects: Subjects = field(default_factory=lambda: Subjects(ENV))
    executors: list[Executor] = field(default_factory=list)
    bid_e4: int | None = 5_900
    ask_e4: int | None = 6_100
    permits_flow: bool = True
    is_permitted: bool = True
    """Whether risk's permit is open; closed it still lets exits pass, as riskguard's does at reduce-only."""
    positions: dict[str, PositionV1] = field(default_factory=dict)
    _sequence: Any = field(default_factory=lambda: itertools.count(1))
    _instances: Any = field(default_factory=lambda: itertools.count(1))
    _permits: Any = field(default_factory=lambda: itertools.count(1))

    async def start(self, *, state: str = "state", wait: bool = True, **changes: Any) -> Executor:
        """Start an executor; ``state`` names its folder, so a restart on the same machine keeps it."""
        key = self.exchange.account("trade")
        fields: dict[str, Any] = {
            "common": Common(account=ACCOUNT, nats_url=self.nats_url, state_dir=str(self.folder / state)),
            "venue": Venue(
                rest_url=self.exchange.at.rest_url,
                ws_url=self.exchange.at.ws_url,
                key_id=key.key_id,
                key_file=key.key_file,
            ),
            "limits": LIMITS,
            "groups": Groups(limit_e2=100_000, rest_s=0.2),
            "planning": Planning(hysteresis_ticks=0, intent_age_ms_max=2_000),
            "epoch": FAST,
            "evidence": Evidence(
                read_lag_s=0.2,
                look_s=0.1,
                misses_max=3,
                absent_after_s=1.0,
                compare_s=0.5,
                clean_reads=2,
                clean_gap_s=0.05,
            ),
        }
        config = Config(**(fields | changes))
        number = next(self._instances)
        bus = await self.connect("executor", instance=str(number))
        await bus.start_echo(
            self.subjects.of("health.beat", "executor", str(number)), lambda count: b"%d" % count
        )
        app = await wire(runtime_of("executor", config, bus, instance=f"test-{number}"))
        executor = Executor(app, bus, asyncio.create_task(app.run()))
        self.executors.append(executor)
        if wait:
            await self.until_state(executor, "running")
        return executor

    async def until_state(self, executor: Executor, state: str, timeout_s: float = 10) -> None:
        """Wait for the gate's word."""

        def is_there() -> bool:
            if executor.task.done():
                executor.task.result()
            return executor.app.status().state == state

        await eventually(is_there, timeout_s, what=f"state {state}, reasons {executor.app.status().reasons}")

    async def target(self, *quotes: QuoteV1) -> None:
        """Publish what the strategy wants."""
        now_ms = time.time_ns() // 1_000_000
        target = a_target(
            *quotes,
            market=self.market,
            sequence=next(self._sequence),
            expires_ms=now_ms + 60_000,
            origin_mono_ns=time.monotonic_ns(),
        )
        await self.bus.publish(self.subjects.of("target", self.market), encode(target))

    async def halt(self, payload: bytes = b"") -> None:
        """Halt as an operator does, with any payload."""
        await self.bus.publish(self.subjects.of("ctl.halt", "operator"), payload)

    async def resume(self) -> None:
        """Resume by naming the newest halt."""
        newest = await self.bus.last(self.subjects.all_of("ctl.halt"))
        assert newest is not None
        resume = a_resume(newest.sequence)
        await self.bus.append(
            self.subjects.of("ctl.resume", "operator"), encode(resume), msg_id=f"r-{newest.sequence}"
        )

    async def resting(self) -> list[dict[str, Any]]:
        """Return what really rests at the venue, by its own books."""
        truth = await self.exchange.sim("truth?account=main")
        orders: list[dict[str, Any]] = truth["accounts"][ACCOUNT]["orders"]
        return [order for order in orders if order["status"] == "resting"]

    async def orders_ever(self) -> int:
        """Return how many orders the venue ever accepted of us."""
        truth = await self.exchange.sim("truth?account=main")
        return int(truth["accounts"][ACCOUNT]["orders_ever"])

    async def until_resting(self, count: int, timeout_s: float = 5) -> None:
        """Wait until so many orders rest at the venue."""

        async def is_so() -> bool:
            return len(await self.resting()) == count

        await eventually(is_so, timeout_s, poll_s=0.02, what=f"{count} orders resting")

    async def take(self, side: Side, price: str, count: str) -> None:
        """Let the outsider cross with what rests."""
        await self.exchange.order(self.market, side.value, price, count, key="outsider")

    async def play(self) -> None:
        """Publish permits, status and touch for ever."""
        while True:
            now_ms = time.time_ns() // 1_000_000
            if self.permits_flow:
                for issuer in ("risk", "recon"):
                    permit = PermitV1(
                        issuer=issuer,
                        boot="b",
                        counter=next(self._permits),
                        account=ACCOUNT,
                        is_open=self.is_permitted or issuer != "risk",
                        exits_open=not self.is_permitted,
                        epoch=_EVERY_EPOCH,
                    )
                    await self.bus.publish(self.subjects.of(f"permit.{issuer}", ACCOUNT), encode(permit))
            await self.bus.publish(self.subjects.of("md.status", self.market), encode(self._status()))
            await self.bus.publish(self.subjects.of("md.top", self.market), encode(self._top(now_ms)))
            await asyncio.sleep(0.1)

    def _status(self) -> MarketV1:
        spec = self.exchange.exchange.venue.floor.markets[self.market].spec
        return MarketV1(
            market=self.market,
            event="E-1",
            series="E",
            shard=self.shard,
            state="active",  # type: ignore[arg-type]
            title="t",
            grid=spec.grid.bands,
            fee=FeeTermsV1(fee_type="quadratic", multiplier_e4=10_000),
            open_ms=0,
            close_ms=4_000_000_000_000,
            is_exclusive_event=False,
            can_close_early=False,
            trading_active=True,
            sequence=1,
            producer="p",
        )

    def _top(self, now_ms: int) -> TopV1:
        return TopV1(
            market=self.market,
            event="E-1",
            shard=self.shard,
            state="active",  # type: ignore[arg-type]
            trading_active=True,
            bid_e4=self.bid_e4,
            bid_e2=100,
            ask_e4=self.ask_e4,
            ask_e2=100,
            last_e4=None,
            close_ms=4_000_000_000_000,
            is_stale=False,
            venue_ms=now_ms,
            as_of_ms=now_ms,
            sequence=1,
            producer="p",
        )


_EVERY_EPOCH = 1_000_000
"""Issuers who have seen whatever epoch the executor is in."""


@contextlib.asynccontextmanager
async def executor_world(nats_url: str, connect: Connect, folder: Path, **sim: Any) -> AsyncIterator[World]:
    """Run a quiet exchange (no flow but the outsider's) and everybody else."""
    options = {"synthetic_events_per_s": 0.001, "tier": "prestige"} | sim
    async with running_exchange(folder, **options) as exchange:
        markets = exchange.exchange.venue.floor.markets
        market = "SIMRAIN-26A-T1"  # cents, shard 0; seed 1 opens it at 59 to 61 cents
        world = World(
            bus=await connect("marketdata"),
            exchange=exchange,
            connect=connect,
            folder=folder,
            nats_url=nats_url,
            market=market,
            shard=exchange.exchange.venue.floor.events[markets[market].spec.event].shard,
        )
        playing = asyncio.create_task(world.play())
        try:
            yield world
        finally:
            for executor in world.executors:
                await executor.stop()
            playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await playing

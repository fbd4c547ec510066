"""The reconciler and the riskguard in the test's process, on a real bus and a real simulated exchange.

The test plays the executor: it writes epochs, renewals, orders, fills and
heartbeats, honest or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from libs.common.bus.api import Bus, Message
from libs.common.kalshi.model import VenueFill
from libs.common.messages.base import Wire, WireDecoder, encode
from libs.common.messages.control import PermitV1
from libs.common.messages.execution import EpochV1, FillV1, OrderV1, RenewV1
from libs.common.messages.health import BeatV1
from libs.common.observability.metrics import Metrics
from libs.common.runtime.app import App, Runtime
from libs.common.runtime.clock import SystemClock
from libs.common.runtime.config import Common, Venue
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.reconciler import config as recon_config
from services.reconciler import wiring as recon_wiring
from services.riskguard import config as risk_config
from services.riskguard import wiring as risk_wiring
from services.riskguard.core.limits import Limits
from tests.support.bus import ENV
from tests.support.exchange import RunningExchange
from tests.support.riskguard_limits import WIDE

M = TypeVar("M", bound=Wire)
SUBJECTS = Subjects(ENV)
ACCOUNT = "main"
HOLDER = "executor-test"

QUICK = recon_config.Timing(
    cycle_ms=1_000,
    cycle_min_ms=100,
    settle_ms=200,
    confirm_ms=200,
    halt_after_ms=500,
    executor_silence_ms=3_000,
    recovery_ms=1_000,
)


def venue_of(exchange: RunningExchange, key: str) -> Venue:
    entry = exchange.account(key)
    return Venue(
        rest_url=exchange.at.rest_url,
        ws_url=exchange.at.ws_url,
        key_id=entry.key_id,
        key_file=entry.key_file,
    )


def runtime(service: str, config: Any, bus: Bus) -> Runtime[Any]:
    return Runtime(
        service=service,
        instance=f"{service}-test",
        run="20261121-100000-test",
        env=ENV,
        config=config,
        common=config.common,
        config_hash="abc",
        build="test",
        bus=bus,
        subjects=SUBJECTS,
        clock=SystemClock(),
        log=EventLog(),
        metrics=Metrics(),
    )


def reconciler(exchange: RunningExchange, bus: Bus, *, timing: recon_config.Timing = QUICK) -> App:
    config = recon_config.Config(venue=venue_of(exchange, "reconciler"), timing=timing)
    return recon_wiring.wire(runtime("reconciler", config, bus))


def riskguard(
    exchange: RunningExchange,
    bus: Bus,
    state_dir: Path,
    *,
    limits: Limits = WIDE,
    timing: risk_config.Timing | None = None,
) -> App:
    config = risk_config.Config(
        common=Common(state_dir=str(state_dir)),
        venue=venue_of(exchange, "riskguard"),
        limits=limits,
        timing=timing or risk_config.Timing(evaluate_ms=50, listing_ms=300),
    )
    return risk_wiring.wire(runtime("riskguard", config, bus))


@contextlib.asynccontextmanager
async def serving(app: App, bus: Bus, service: str) -> AsyncIterator[App]:
    """Run a service with its endpoints until the block ends; its own failure fails the test."""
    endpoints = await bus.serve(service, app.endpoints, {})
    task = asyncio.create_task(app.run())
    try:
        yield app
        if task.done():
            task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await endpoints.stop()


class Ear:
    """Remembers every message of one type under a pattern."""

    def __init__(self, kind: type[Wire]) -> None:
        self._decoder = WireDecoder(kind)
        self.heard: list[Any] = []

    @staticmethod
    async def on(bus: Bus, pattern: str, kind: type[Wire]) -> Ear:
        ear = Ear(kind)

        async def hear(message: Message) -> None:
            ear.heard.append(ear._decoder.decode(message.data))

        await bus.each(pattern, hear)
        return ear

    @property
    def last(self) -> Any:
        return self.heard[-1] if self.heard else None


async def permits(bus: Bus, family: str) -> Ear:
    return await Ear.on(bus, SUBJECTS.of(family, ACCOUNT), PermitV1)


class FakeExecutor:
    """Writes what an executor writes; renews and beats until told to be silent."""

    def __init__(self, bus: Bus, genesis_balance_e6: int, genesis_ms: int) -> None:
        self.bus = bus
        self.epoch = 0
        self._genesis = (genesis_balance_e6, genesis_ms)
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    async def append(self, family: str, key: str, message: Wire) -> int:
        self._count += 1
        ack = await self.bus.append(SUBJECTS.of(family, key), encode(message), msg_id=f"fake-{self._count}")
        return ack.sequence

    async def lead(self, run: str = "run") -> None:
        """Begin a new epoch and stay alive; another run is another start."""
        self.epoch += 1
        first = self.epoch == 1
        epoch = EpochV1(
            account=ACCOUNT,
            number=self.epoch,
            holder=HOLDER,
            run=run,
            build="b",
            config_hash="c",
            started_ns=0,
            genesis_balance_e6=self._genesis[0] if first else None,
            genesis_ms=self._genesis[1] if first else None,
        )
        await self.append("exec.epoch", ACCOUNT, epoch)
        await self.die()
        self._task = asyncio.create_task(self._live())

    async def die(self) -> None:
        """Fall silent."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def order(self, order: OrderV1) -> None:
        await self.append("order", order.market, order)

    async def fill(self, fill: FillV1) -> None:
        await self.append("fill", fill.market, fill)

    async def _live(self) -> None:
        counter = 0
        while True:
            counter += 1
            renew = RenewV1(account=ACCOUNT, epoch=self.epoch, holder=HOLDER, counter=counter)
            await self.append("exec.renew", ACCOUNT, renew)
            beat = BeatV1(service="executor", instance=HOLDER, run="run", counter=counter, is_ready=True)
            await self.bus.publish(SUBJECTS.of("health.beat", "executor", HOLDER), encode(beat))
            await asyncio.sleep(0.25)


async def ask(bus: Bus, service: str, endpoint: str, body: object = None) -> Mapping[str, Any]:
    """Ask an endpoint and return its JSON."""
    data = b"" if body is None else json.dumps(body).encode()
    answer = await bus.request(SUBJECTS.of("svc", service, endpoint), data, timeout_s=8)
    decoded: Mapping[str, Any] = json.loads(answer.data)
    return decoded


def fill_of(fill: VenueFill, **changes: Any) -> FillV1:
    """Return the executor's word for a fill of the venue."""
    fields: dict[str, Any] = {
        "account": ACCOUNT,
        "market": fill.market,
        "shard": fill.shard,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_order_id": "",
        "decision_id": "d",
        "side": fill.side,
        "price_e4": fill.price_e4,
        "qty_e2": fill.qty_e2,
        "fee_e6": fill.fee_e6,
        "is_taker": fill.is_taker,
        "venue_ms": fill.venue_ms,
        "position_after_e2": 0,
        "pnl_delta_e6": 0,
    }
    return FillV1(**{**fields, **changes})

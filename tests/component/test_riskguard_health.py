"""What the riskguard learns of the machinery on a real bus and from a real simulated exchange."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.common.bus.nats import NatsBus
from libs.common.messages.base import encode
from libs.common.messages.health import BeatV1
from libs.common.runtime.app import App
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.exchange import RunningExchange, running_exchange
from tests.support.riskguard_limits import health
from tests.support.truth_apps import SUBJECTS, FakeExecutor, riskguard, serving


@dataclass
class Scene:
    """A bus, an exchange and an executor; guards come and go."""

    exchange: RunningExchange
    connect: Connect
    bus: NatsBus
    executor: FakeExecutor
    state_dir: Path

    @contextlib.asynccontextmanager
    async def guard(self, **limits: object) -> AsyncIterator[App]:
        """Run a riskguard with these limits of the machinery."""
        bus = await self.connect("riskguard")
        app = riskguard(self.exchange, bus, self.state_dir, limits=health(**limits))
        async with serving(app, bus, "riskguard"):
            yield app

    async def beat(self, **fields: object) -> None:
        """Say one heartbeat of strategy."""
        told = {"service": "strategy", "instance": "s", "run": "r", "counter": 1, "is_ready": True}
        beat = BeatV1(**{**told, **fields})  # type: ignore[arg-type]
        await self.bus.publish(SUBJECTS.of("health.beat", "strategy", "s"), encode(beat))


@pytest.fixture
async def scene(tmp_path: Path, streams_url: str, connect: Connect) -> AsyncIterator[Scene]:
    del streams_url  # there are streams
    async with running_exchange(tmp_path, synthetic_events_per_s=20.0) as exchange:
        bus = await connect("test")
        if await bus.last(SUBJECTS.all_of("ctl.halt")) is None:
            await bus.append(SUBJECTS.of("ctl.halt", "init"), b"born halted", msg_id="init")
        executor = FakeExecutor(bus, 0, 0)
        await executor.lead()
        yield Scene(exchange, connect, bus, executor, tmp_path / "state")
        await executor.die()


def says(app: App, word: str) -> bool:
    """Return whether the guard gives a reason with this word."""
    return any(word in reason for reason in app.status().reasons)


async def test_starts_of_the_executor_are_known_to_a_guard_that_started_after_them(scene: Scene) -> None:
    """Four epochs within a minute: the guard that heard none of them reads them from the stream."""
    for number in range(3):
        await scene.executor.lead(f"run-{number}")
    async with scene.guard(boots_max=3, boots_window_ms=600_000) as app:
        await eventually(lambda: says(app, "executor 4 times"), 10, what="a restart loop")
    async with scene.guard(boots_max=4, boots_window_ms=600_000) as app:
        await eventually(lambda: app.status().is_ready, 10)
        assert not says(app, "executor 4 times within 600000 ms, limit 4")


async def test_the_exchanges_clock_is_read_from_its_answers(scene: Scene) -> None:
    async with scene.guard(clock_skew_ms=2_000) as app:
        await eventually(lambda: app.status().is_ready, 10)
        assert not says(app, "clocks differ")
        await scene.exchange.sim("date", {"seconds": -10})
        await eventually(lambda: says(app, "that of exchange minus ours is at least -"), 5)
        await scene.exchange.sim("date", {"seconds": 0})


async def test_a_pause_of_the_exchange_is_seen_and_its_end(scene: Scene) -> None:
    shards = [0, 1, 2, 3]
    async with scene.guard() as app:
        await eventually(lambda: app.status().is_ready, 10)
        await scene.exchange.sim("switch", {"action": "pause_exchange", "shards": shards})
        await eventually(lambda: says(app, "the whole exchange is paused"), 5)
        await scene.exchange.sim("switch", {"action": "resume_exchange", "shards": shards})
        await eventually(lambda: not says(app, "the exchange does not trade"), 5)


async def test_an_exchange_that_does_not_answer_is_not_believed_to_trade(scene: Scene) -> None:
    async with scene.guard(exchange_silence_ms=500) as app:
        await eventually(lambda: app.status().is_ready, 10)
        fault = {"kind": "error_before", "match": "GET /exchange/status", "count": 1_000}
        await scene.exchange.sim("faults", fault)
        await eventually(lambda: says(app, "has not told its state"), 5)


async def test_heartbeats_tell_lag_build_and_silence(scene: Scene) -> None:
    async with scene.guard(loop_lag_ms=250, service_silence_ms=500) as app:
        await eventually(lambda: says(app, "a service that we need is silent"), 5)
        await scene.beat(loop_lag_ms=251, build="one")
        await eventually(lambda: says(app, "an event loop was late: strategy/s by 251 ms"), 5)
        await scene.beat(counter=2, instance="t", build="two")
        await eventually(lambda: says(app, "builds differ"), 5)

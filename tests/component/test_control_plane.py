"""A real riskguard and a real executor at one venue: ramp after a resume, limits down and up, signatures."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.common.bus.nats import NatsBus
from libs.common.control.ramp import Ramp
from libs.common.control.settings import Control
from libs.common.domain.side import Side
from libs.common.messages.base import encode
from libs.common.messages.control import PermitV1, ResumeV1
from libs.common.messages.health import BeatV1
from libs.common.messages.risk import LimitV1
from libs.common.runtime.app import App
from libs.common.runtime.config import Common
from services.riskguard import config as risk_config
from services.riskguard import wiring as risk_wiring
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.executor_builders import LIMITS, a_quote
from tests.support.executor_world import ACCOUNT, Executor, World, executor_world
from tests.support.resumes import Person, control_of
from tests.support.riskguard_limits import WIDE
from tests.support.truth_apps import ask, runtime, serving, venue_of

WHO: Final = {"reason": "reviewed", "by": "ann"}
BID, ASK = a_quote(Side.BID, 5_000, 2_000), a_quote(Side.ASK, 7_000, 2_000)


@dataclass
class Plant:
    """A world in which riskguard's permits are riskguard's own; reconciler and beats are the test's."""

    world: World
    connect: Connect
    bus: NatsBus
    folder: Path
    ramp: Ramp
    control: Control = field(default_factory=Control)
    guards: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    executors: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def guard(self) -> App:
        """Start the riskguard, again after it was ended."""
        await self.guards.aclose()
        bus = await self.connect("riskguard")
        config = risk_config.Config(
            common=Common(account=ACCOUNT, state_dir=str(self.folder / "guard")),
            venue=venue_of(self.world.exchange, "riskguard"),
            limits=WIDE,
            timing=risk_config.Timing(evaluate_ms=50, listing_ms=300),
            ramp=self.ramp,
            control=self.control,
        )
        app = risk_wiring.wire(runtime("riskguard", config, bus))
        return await self.guards.enter_async_context(serving(app, bus, "riskguard"))

    async def executor(self) -> Executor:
        """Start the executor, which answers questions as a service does."""
        await self.executors.aclose()
        executor = await self.world.start(wait=False, control=self.control)
        served = await executor.bus.serve("executor", executor.app.endpoints, {})
        self.executors.push_async_callback(served.stop)
        return executor

    async def speak(self) -> None:
        """Be the reconciler, and every executor's heartbeat."""
        for counter in itertools.count(1):
            permit = PermitV1(
                issuer="reconciler", boot="b", counter=counter, account=ACCOUNT, is_open=True, epoch=10**6
            )
            await self.bus.publish(self.world.subjects.of("permit.recon", ACCOUNT), encode(permit))
            for number in (1, 2):
                name = f"test-{number}"
                beat = BeatV1(service="executor", instance=name, run="run", counter=counter, is_ready=True)
                await self.bus.publish(self.world.subjects.of("health.beat", "executor", name), encode(beat))
            await asyncio.sleep(0.2)

    async def resume(self, *people: Person) -> dict[str, Any]:
        """Do both steps, with these people's signatures; return the second answer."""
        first = await self.until_offered()
        offer = msgspec.convert(first["offer"], ResumeV1)
        signatures = [person.sign(offer) for person in people]
        second = {**WHO, "nonce": first["nonce"], "signatures": signatures}
        return dict(await ask(self.bus, "riskguard", "resume", second))

    async def until_offered(self) -> dict[str, Any]:
        """Take the first step until it is answered with an offer: a halt may not be stored yet."""
        deadline = time.monotonic() + 10
        while True:
            first = dict(await ask(self.bus, "riskguard", "resume", WHO))
            if first["is_accepted"] or time.monotonic() > deadline:
                assert first["is_accepted"], first
                return first
            await asyncio.sleep(0.1)

    async def limit(self, name: str, value: int, *people: Person, **more: Any) -> dict[str, Any]:
        """Change a limit; take the second step where one is offered."""
        request = {**WHO, "name": name, "value": value, **more}
        first = dict(await ask(self.bus, "riskguard", "limit", request))
        if not first["offer"]:
            return first
        offer = msgspec.convert(first["offer"], LimitV1)
        second = {**request, "nonce": first["nonce"], "signatures": [one.sign(offer) for one in people]}
        return dict(await ask(self.bus, "riskguard", "limit", second))

    async def sizes(self) -> set[str]:
        """Return the sizes that rest at the venue, by its own books."""
        return {order["remaining_count_fp"] for order in await self.world.resting()}

    async def until_sizes(self, *sizes: str, timeout_s: float = 10) -> None:
        seen: list[set[str]] = []

        async def is_so() -> bool:
            seen.append(await self.sizes())
            return seen[-1] == set(sizes)

        await eventually(is_so, timeout_s, poll_s=0.05, what=f"sizes {sizes}, were {seen[-1:]}")


@contextlib.asynccontextmanager
async def a_plant(
    url: str, connect: Connect, folder: Path, ramp: Ramp, control: Control | None = None
) -> AsyncIterator[Plant]:
    async with executor_world(url, connect, folder) as world:
        # The world's own permits would say that riskguard grants whole sizes.
        world.permits_flow = False
        plant = Plant(world, connect, await connect("operator"), folder, ramp, control or Control())
        speaking = asyncio.create_task(plant.speak())
        try:
            yield plant
        finally:
            speaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await speaking
            await plant.executors.aclose()
            await plant.guards.aclose()


async def test_orders_at_the_venue_begin_at_a_tenth_and_restarts_do_not_jump_over_the_ramp(
    streams_url: str, connect: Connect, tmp_path: Path
) -> None:
    async with a_plant(streams_url, connect, tmp_path, Ramp(start_e4=1_000, minutes=30.0)) as plant:
        await plant.guard()
        executor = await plant.executor()
        assert (await plant.resume())["is_accepted"]
        await plant.world.until_state(executor, "running")
        await plant.world.target(BID, ASK)
        await plant.until_sizes("2.00")
        await plant.guard()
        await plant.world.target(BID, ASK)
        await asyncio.sleep(1.0)
        await plant.until_sizes("2.00")
        await executor.stop()
        again = await plant.executor()
        await plant.world.until_state(again, "running")
        await plant.world.target(BID, ASK)
        await plant.until_sizes("2.00")
        assert again.gauge("scale_e4") == 1_000


async def test_ramp_ends_and_sizes_are_whole(streams_url: str, connect: Connect, tmp_path: Path) -> None:
    async with a_plant(streams_url, connect, tmp_path, Ramp(start_e4=5_000, minutes=0.1)) as plant:
        await plant.guard()
        executor = await plant.executor()
        assert (await plant.resume())["is_accepted"]
        await plant.world.until_state(executor, "running")
        await plant.world.target(BID, ASK)
        seen: set[str] = set()
        deadline = time.monotonic() + 20
        while seen & {"20.00"} == set() and time.monotonic() < deadline:
            seen |= await plant.sizes()
            await asyncio.sleep(0.05)
        assert "20.00" in seen
        assert {"10.00", "12.00", "14.00", "16.00", "18.00"} & seen, f"smaller ones came before: {seen}"


async def test_limit_goes_down_at_once_and_up_in_two_steps_and_falls_back_by_itself(
    streams_url: str, connect: Connect, tmp_path: Path
) -> None:
    async with a_plant(streams_url, connect, tmp_path, Ramp(minutes=0)) as plant:
        app = await plant.guard()
        executor = await plant.executor()
        assert (await plant.resume())["is_accepted"]
        await plant.world.until_state(executor, "running")
        await plant.world.target(BID, ASK)
        await plant.until_sizes("20.00")
        approver = executor.engine.quoter.approver

        done = await plant.limit("order_qty_e2_max", 1_999)
        assert done["is_accepted"], done
        assert done["step"] == 1, "one message"
        await eventually(lambda: approver.limits.order_qty_e2_max == 1_999)
        await plant.until_sizes()

        assert not (await plant.limit("order_qty_e2_max", LIMITS.order_qty_e2_max + 1))["is_accepted"]
        no_end = await plant.limit("order_qty_e2_max", 2_500)
        assert "an end" in str(no_end["refusals"])
        until_ms = time.time_ns() // 1_000_000 + 4_000
        up = await plant.limit("order_qty_e2_max", 2_500, until_ms=until_ms)
        assert up["is_accepted"], up
        assert up["step"] == 2
        await eventually(lambda: approver.limits.order_qty_e2_max == 2_500)
        await plant.world.target(BID, ASK)
        await plant.until_sizes("20.00")

        shown = await ask(plant.bus, "riskguard", "limits")
        (line,) = [one for one in shown["all"] if one["name"] == "order_qty_e2_max"]
        assert (line["value"], line["cap"]) == (2_500, LIMITS.order_qty_e2_max)
        assert (line["change"]["by"], line["change"]["until_ms"]) == ("ann", until_ms)
        assert shown["limits_hash"] == shown["executor_limits_hash"]

        await eventually(lambda: approver.limits.order_qty_e2_max == 1_999, 10, what="the raise over")
        await plant.until_sizes()

        # The guard's own, nested ones as well; and a restart of either holds what the stream says.
        assert (await plant.limit("position_e2", 500))["is_accepted"]
        assert (await plant.limit("money.balance_drop_e6", 7))["is_accepted"]
        wrong = await plant.limit("money.no_such_limit", 7)
        assert "a limit of riskguard or executor" in str(wrong["refusals"])
        assert "setting" in str((await plant.limit("health.boots_window_ms", 1))["refusals"])
        await eventually(lambda: app._core.limits.money.balance_drop_e6 == 7)  # type: ignore[attr-defined]
        again = await plant.guard()
        await eventually(lambda: again._core.limits.position_e2 == 500)  # type: ignore[attr-defined]
        assert again._core.limits.money.balance_drop_e6 == 7  # type: ignore[attr-defined]
        await plant.world.halt(b"to see what a resume tells")
        changed = (await plant.until_offered())["limits_changed"]
        names = {"order_qty_e2_max", "position_e2", "money.balance_drop_e6"}
        assert {one["name"] for one in changed} == names


async def test_two_people_resume_and_one_does_not(streams_url: str, connect: Connect, tmp_path: Path) -> None:
    ann, bob, eve = Person("ann"), Person("bob"), Person("eve")
    control = control_of(ann, bob, required=2)
    async with a_plant(streams_url, connect, tmp_path, Ramp(minutes=0), control) as plant:
        await plant.guard()
        executor = await plant.executor()
        for people in ((), (ann,), (ann, ann), (ann, eve)):
            refused = await plant.resume(*people)
            assert "2 signatures" in str(refused["refusals"]), people
        # The second lock is the executor's: what somebody writes past riskguard's desk lifts nothing.
        newest = await plant.bus.last(plant.world.subjects.all_of("ctl.halt"))
        assert newest is not None
        await plant.world.resume()
        await asyncio.sleep(1.0)
        assert executor.engine.account.gate.halt_reasons()
        assert (await plant.resume(ann, bob))["is_accepted"]
        await plant.world.until_state(executor, "running")

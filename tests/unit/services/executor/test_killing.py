"""Ladders against a venue that answers as told: two at once, a sick shard, a halt that is lifted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from libs.common.control.latch import Halted
from libs.common.kalshi.model import VenueOrder
from libs.common.kalshi.rest import VenueReader
from libs.common.messages.control import HaltV1, ScopeKind
from libs.common.messages.execution import OrderGroupV1
from libs.common.runtime.errors import VenueUnavailable
from services.executor.core.account import Now
from services.executor.core.effects import Effect, Log, StartKill
from services.executor.core.requests import CancelRequest
from services.executor.shell.killing import Killer
from services.executor.shell.sender import Sender
from tests.support.eventually import eventually
from tests.support.executor_builders import ACCOUNT, CLEAR, GROUP, Desk, a_desk, an_order, told


class Venue:
    """Lists nothing, and answers for a shard when it may."""

    def __init__(self) -> None:
        self.may_confirm = asyncio.Event()
        self.sick: set[int] = set()
        self.triggered: list[str] = []
        self.cancelled_all = 0
        self.orders: list[VenueOrder] = []

    async def resting(self, shard: int, *, most: int | None = None) -> list[VenueOrder]:
        if shard in self.sick:
            raise VenueUnavailable("503")
        return self.orders[:most]

    async def send_cancels(self, cancels: Sequence[CancelRequest]) -> None:
        gone = {cancel.order_id for cancel in cancels}
        self.orders = [one for one in self.orders if one.order_id not in gone]

    async def trigger_group(self, order_group_id: str, shard: int) -> bool:
        await self.may_confirm.wait()
        if shard in self.sick:
            return False
        self.triggered.append(order_group_id)
        return True

    async def cancel_all(self) -> bool:
        self.cancelled_all += 1
        return not self.sick


class Scene:
    """A killer over a desk whose clock runs, and what it told."""

    def __init__(self) -> None:
        self.desk: Desk = a_desk()
        self.desk.engine.intake.read_lag_ns = 10_000_000
        self.venue = Venue()
        self.told: list[Effect] = []
        self.killer = Killer(
            engine=self.desk.engine,
            sender=cast("Sender", self.venue),
            reader=cast("VenueReader", self.venue),
            env="sim",
            now=lambda: Now(time.monotonic_ns(), self.desk.now.ms),
            perform=self.told.extend,
        )

    def logged(self, event_type: str) -> list[Log]:
        return [one for one in self.told if isinstance(one, Log) and one.event_type == event_type]


async def test_second_ladder_is_not_verified_before_the_first_one_has_its_triggers_confirmed() -> None:
    scene = Scene()
    killer, gate = scene.killer, scene.desk.engine.account.gate
    halt = asyncio.create_task(killer.kill("halt", with_cancel_all=True))
    await eventually(lambda: killer.last is not None)
    end = asyncio.create_task(killer.kill("stop", with_cancel_all=False))
    await asyncio.wait([end], timeout=0.3)
    assert not end.done()
    assert gate.is_killing
    scene.venue.may_confirm.set()
    assert (await asyncio.wait_for(halt, 5)).is_verified
    assert (await asyncio.wait_for(end, 5)).is_verified
    assert set(scene.venue.triggered) == {GROUP}
    assert not gate.is_killing


async def test_sick_shard_delays_nobody_and_is_unverified_until_it_heals() -> None:
    scene = Scene()
    scene.venue.may_confirm.set()
    scene.venue.sick = {2}
    scene.desk.engine.account.group(
        OrderGroupV1(account=ACCOUNT, epoch=1, shard=2, order_group_id="g2", limit_e2=1)
    )
    halt = asyncio.create_task(scene.killer.kill("halt", with_cancel_all=True))
    await eventually(lambda: scene.killer.unverified == {"account": [2]})
    assert scene.killer.gauges()["halt_shard_0_verified"] == 1
    assert scene.killer.gauges()["halt_verified"] == 0
    assert scene.killer.gauges()["halt_unverified_shards"] == 1
    await eventually(lambda: scene.logged("HALT_UNVERIFIED"), 5)
    assert scene.logged("HALT_UNVERIFIED")[0].level == "CRITICAL"
    assert scene.desk.engine.account.gate.is_killing
    assert not halt.done()
    scene.venue.sick.clear()
    assert (await asyncio.wait_for(halt, 5)).is_verified
    assert scene.killer.unverified == {}


async def test_account_is_halted_at_once_while_a_narrower_halt_waits_for_a_sick_shard() -> None:
    scene = Scene()
    scene.venue.may_confirm.set()
    scene.venue.sick = {2}
    engine = scene.desk.engine
    halt = HaltV1(reason="odd", scope=ScopeKind.SHARD, scope_key="2")
    (kill,) = [
        effect
        for effect in engine.on_latch(replace(CLEAR, halts=(Halted(7, "operator", halt),)))
        if isinstance(effect, StartKill)
    ]
    shard = asyncio.create_task(
        scene.killer.kill(kill.reason, with_cancel_all=True, reach=kill.scope, is_heard=True)
    )
    await eventually(lambda: scene.killer.unverified == {"shard:2": [2]})
    assert scene.venue.cancelled_all == 0, "a narrower halt leaves the others alone"
    assert not engine.account.gate.is_killing
    account = await asyncio.wait_for(scene.killer.kill("all", with_cancel_all=True), 5)
    assert account.is_verified
    engine.on_latch(CLEAR)
    assert not (await asyncio.wait_for(shard, 5)).is_verified
    assert scene.logged("HALT_LIFTED")


async def test_order_of_ours_behind_a_page_of_other_peoples_is_found_before_anything_is_verified() -> None:
    scene = Scene()
    scene.venue.may_confirm.set()
    ours = told(an_order(order_group_id="older"))
    foreign = [replace(ours, order_id=f"f{n}", client_order_id=f"by-hand-{n}") for n in range(200)]
    scene.venue.orders = [*foreign, ours]
    ladder = await asyncio.wait_for(scene.killer.kill("drain", with_cancel_all=False), 5)
    assert ladder.is_verified
    assert ours not in scene.venue.orders, "verified while an order of ours rests"
    assert scene.venue.orders == foreign, "other people's orders are not ours to cancel"

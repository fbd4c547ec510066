"""Claiming an epoch and making groups over a stream that loses acknowledgements."""

from __future__ import annotations

import asyncio
import logging
from typing import cast

import pytest

from libs.common.bus.memory import MemoryBus
from libs.common.env import Env
from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.order_sender import OrderSender
from libs.common.kalshi.presign import Presigner
from libs.common.runtime.errors import VenueUnavailable
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.executor.core.positions import Genesis
from services.executor.shell.leadership import Leadership
from tests.support.executor_builders import Desk, a_desk


class Venue:
    """Makes groups, when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.is_up = True

    async def create_order_group(self, limit_e2: int, shard: int) -> str:
        del limit_e2
        await self.may_answer.wait()
        if not self.is_up:
            raise VenueUnavailable("down")
        return f"made-{shard}"


class Nothing:
    """Signs nothing ahead."""

    def watch(self, *routes: tuple[str, str]) -> None:
        del routes

    def trigger_route(self, order_group_id: str) -> tuple[str, str]:
        return ("PUT", order_group_id)


def a_leadership(desk: Desk, bus: MemoryBus, venue: Venue) -> Leadership:
    return Leadership(
        engine=desk.engine,
        bus=bus,
        subjects=Subjects(Env.SIM),
        orders=cast("OrderSender", venue),
        canceller=cast("Canceller", Nothing()),
        presigner=cast("Presigner", Nothing()),
        limit_of=lambda _: 100,
        rest_s=0.0,
        holder="a",
        run="run",
        build="b",
        config_hash="c",
        log=EventLog(logging.getLogger("dora.test")),
        now=lambda: desk.now,
    )


async def genesis() -> Genesis:
    return Genesis(0, 0)


async def test_own_claim_whose_acknowledgement_was_lost_leads() -> None:
    desk, bus = a_desk(is_open=False), MemoryBus()
    bus.broker.acks_to_lose = 1
    await asyncio.wait_for(a_leadership(desk, bus, Venue()).lead(genesis), 5)
    assert (desk.engine.epoch.is_leading, desk.engine.epoch.number) == (True, 1)


async def test_group_that_fails_after_a_takeover_asks_for_no_second_group_of_the_new_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.executor.shell.leadership._GROUP_AGAIN_S", 0.001)
    desk, bus, venue = a_desk(is_open=False), MemoryBus(), Venue()
    leadership = a_leadership(desk, bus, venue)
    await asyncio.wait_for(leadership.lead(genesis), 5)
    desk.engine.began_epoch(1)
    desk.engine.account.groups_asked.add(0)
    making = asyncio.create_task(leadership.make_group(0))
    await asyncio.sleep(0)
    await leadership.take_over()
    desk.engine.began_epoch(2)
    desk.engine.account.groups_asked.add(0)
    venue.is_up = False
    venue.may_answer.set()
    await asyncio.wait_for(making, 5)
    assert desk.engine.account.groups_asked == {0}

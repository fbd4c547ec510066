"""Two ladders at once: a halt, and the orderly end that somebody asks for meanwhile."""

from __future__ import annotations

import asyncio
from typing import cast

from libs.common.kalshi.model import VenueOrder
from libs.common.kalshi.rest import VenueReader
from services.executor.core.effects import Effect
from services.executor.shell.killing import Killer
from services.executor.shell.sender import Sender
from tests.support.executor_builders import GROUP, a_desk


class Venue:
    """Lists nothing, and confirms a trigger when it may."""

    def __init__(self) -> None:
        self.may_confirm = asyncio.Event()
        self.triggered: list[str] = []

    async def orders(self, status: str) -> list[VenueOrder]:
        assert status == "resting"
        return []

    async def trigger_group(self, order_group_id: str, shard: int) -> bool:
        del shard
        await self.may_confirm.wait()
        self.triggered.append(order_group_id)
        return True

    async def cancel_all(self) -> bool:
        return True


def ignore(effects: list[Effect]) -> None:
    del effects


async def test_second_ladder_is_not_verified_before_the_first_one_has_its_triggers_confirmed() -> None:
    desk, venue = a_desk(), Venue()
    killer = Killer(
        engine=desk.engine,
        sender=cast("Sender", venue),
        reader=cast("VenueReader", venue),
        env="sim",
        now=lambda: desk.now,
        perform=ignore,
    )
    halt = asyncio.create_task(killer.kill("halt", with_cancel_all=True))
    await asyncio.sleep(0.01)
    end = asyncio.create_task(killer.kill("stop", with_cancel_all=False))
    await asyncio.wait([end], timeout=0.5)
    assert not end.done()
    assert desk.engine.account.gate.is_killing
    venue.may_confirm.set()
    assert (await asyncio.wait_for(halt, 5)).is_verified
    assert (await asyncio.wait_for(end, 5)).is_verified
    assert set(venue.triggered) == {GROUP}
    assert not desk.engine.account.gate.is_killing

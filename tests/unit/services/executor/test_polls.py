"""How often everything is compared: quickly while the private feed tells nothing."""

from __future__ import annotations

from typing import Any, cast

from libs.common.kalshi.model import FeedClosed, FeedHeard, FeedSubscribed
from libs.common.kalshi.rest import VenueReader
from libs.common.runtime.errors import VenueUnavailable
from services.executor.core.effects import Effect
from services.executor.shell.polls import Polls
from tests.support.executor_builders import START_MS, a_desk


class Reader:
    """Counts listings and answers nothing else."""

    def __init__(self) -> None:
        self.listings = 0

    async def orders(self, **_: Any) -> list[Any]:
        self.listings += 1
        return []

    async def fills(self, **_: Any) -> list[Any]:
        return []

    async def positions(self, **_: Any) -> list[Any]:
        raise VenueUnavailable("not now")


def ignore(effects: list[Effect]) -> None:
    del effects


async def test_everything_is_compared_each_second_while_the_private_feed_is_down() -> None:
    desk, reader = a_desk(), Reader()
    polls = Polls(
        engine=desk.engine,
        reader=cast("VenueReader", reader),
        now=lambda: desk.now,
        perform=ignore,
        look_s=0.5,
        compare_s=5.0,
    )

    async def listings_in_four_seconds(*, is_speaking: bool = True) -> int:
        before = reader.listings
        for _ in range(8):
            desk.later(0.5)
            if is_speaking:
                desk.engine.on_feed([FeedHeard(START_MS)], desk.now)
            await polls.look()
        return reader.listings - before

    engine = desk.engine
    engine.on_feed([FeedSubscribed()], desk.now)
    await polls.look()
    assert await listings_in_four_seconds() == 0
    engine.on_feed([FeedClosed("gone")], desk.now)
    assert await listings_in_four_seconds() == 4
    engine.on_feed([FeedSubscribed()], desk.now)
    assert await listings_in_four_seconds() <= 2, "to catch up, and the regular one"
    assert await listings_in_four_seconds(is_speaking=False) >= 2, (
        "a connection that says nothing proves nothing"
    )

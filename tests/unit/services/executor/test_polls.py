"""How often everything is compared: quickly while the private feed tells nothing."""

from __future__ import annotations

from typing import Any, cast

from libs.common.kalshi.model import FeedClosed, FeedHeard, FeedSubscribed, VenueFill
from libs.common.kalshi.rest import VenueReader
from libs.common.runtime.errors import VenueUnavailable
from services.executor.core.effects import Effect
from services.executor.shell.polls import Polls
from tests.support.executor_builders import START_MS, a_desk
from tests.support.truth_builders import venue_fill


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


async def test_a_fill_that_only_the_listing_tells_is_read_however_many_were_heard_after_it() -> None:
    """The private feed has no sequence numbers: it may keep one fill from us and tell a minute of others."""
    desk, asked, told = a_desk(), list[int](), list[VenueFill]()

    class Listing:
        async def fills(self, min_ts: int) -> list[VenueFill]:
            asked.append(min_ts)
            return [fill for fill in reversed(told) if fill.venue_ms // 1_000 >= min_ts]

    polls = Polls(
        engine=desk.engine,
        reader=cast("VenueReader", Listing()),
        now=lambda: desk.now,
        perform=ignore,
        look_s=0.5,
        compare_s=5.0,
    )
    lost, *heard = [
        venue_fill(f"t{n}", client_order_id="somebody", venue_ms=START_MS + 1_000 * n) for n in range(60)
    ]
    told += [lost, *heard]
    desk.engine.account.foreign.add(lost.order_id)
    for fill in heard:
        desk.engine.intake.on_fill(fill, desk.now)
    assert not desk.engine.account.positions.is_counted(lost)

    await polls.fills()

    assert desk.engine.account.positions.is_counted(lost)
    await polls.fills()
    assert asked == [0, START_MS // 1_000 + 59 - 5]

"""Strategy on a real NATS server: books, positions and configuration in, targets and audit out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from libs.common.bus.api import Message
from libs.common.bus.layout import bucket_config
from libs.common.bus.nats import NatsBus
from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.base import WireDecoder, encode
from libs.common.messages.target import DecisionBatchV1, TargetV1
from libs.common.subjects import Subjects
from services.strategy.config import Config
from services.strategy.core.pipeline import decide
from services.strategy.shell import service
from services.strategy.shell.service import StrategyApp
from services.strategy.wiring import wire
from tests.support.bus import ENV, Connect
from tests.support.eventually import eventually
from tests.support.market_builders import MARKET, NOW_MS, book, position
from tests.support.runtimes import running, runtime_of

SUBJECTS = Subjects(ENV)
_DEFAULT = {"enabled": True, "size_e2": 1_000, "inventory_e2_max": 5_000}
_TARGETS, _BATCHES = WireDecoder(TargetV1), WireDecoder(DecisionBatchV1)


class World:
    """The strategy and what its neighbours would say to it."""

    def __init__(self, app: StrategyApp, bus: NatsBus) -> None:
        self.app = app
        self.bus = bus
        self.targets: list[TargetV1] = []
        self.sequence = 0

    async def hear(self, message: Message) -> None:
        self.targets.append(_TARGETS.decode(message.data))

    async def say_position(self, qty_e2: int = 0, market: str = MARKET, **changes: Any) -> None:
        before = self.app.status().gauges["markets_with_position_known"]
        said = position(qty_e2, market=market, **changes)
        await self.bus.publish(SUBJECTS.of("position", market), encode(said))
        if before == 0:
            await eventually(lambda: self.app.status().gauges["markets_with_position_known"] == 1)

    async def say_book(self, market: str = MARKET, **changes: Any) -> None:
        self.sequence += 1
        said = book(market=market, sequence=self.sequence, **changes)
        await self.bus.publish(SUBJECTS.of("md.book", market), encode(said))

    async def decided(self, count: int) -> None:
        await eventually(lambda: self.app.status().counters["decisions"] >= count)


@asynccontextmanager
async def _world(
    streams_url: str, connect: Connect, *, instance: str = "s-1", **changes: Any
) -> AsyncIterator[World]:
    values: dict[str, Any] = {"trading_enabled": True, "markets": {"default": _DEFAULT}, "audit_ms": 20}
    config = Config(**{**values, **changes})
    app = wire(runtime_of("strategy", config, await connect("strategy"), instance=instance))
    bus = await connect("neighbours")
    world = World(app, bus)
    await bus.each(SUBJECTS.all_of("target"), world.hear)
    async with running(app):
        await eventually(lambda: app.status().is_ready)
        yield world


async def test_a_book_and_a_position_make_a_target(streams_url: str, connect: Connect) -> None:
    async with _world(streams_url, connect) as world:
        await world.say_position(epoch=4, sequence=2)
        await world.say_book()
        await eventually(lambda: world.targets)
        target = world.targets[0]
        assert [quote.side for quote in target.quotes] == [Side.BID, Side.ASK]
        assert (target.position_epoch, target.position_sequence, target.book_sequence) == (4, 2, 1)


async def test_without_a_position_every_side_is_silent_with_its_reason(
    streams_url: str, connect: Connect
) -> None:
    async with _world(streams_url, connect) as world:
        await world.say_book()
        await eventually(lambda: world.targets)
        assert {silence.reason for silence in world.targets[0].silences} == {Reason.NO_POSITION}


async def test_every_book_is_decided_but_only_changes_and_renewals_are_published(
    streams_url: str, connect: Connect
) -> None:
    async with _world(streams_url, connect) as world:
        await world.say_position()
        for step in range(16):
            await world.say_book(as_of_ms=NOW_MS + 100 * step)
            await world.decided(step + 1)
        await eventually(lambda: len(world.targets) == 2)
        assert [target.book_as_of_ms - NOW_MS for target in world.targets] == [0, 1_500]


async def test_an_older_position_does_not_replace_a_newer_one(streams_url: str, connect: Connect) -> None:
    async with _world(streams_url, connect) as world:
        await world.say_position(sequence=5)
        await world.say_position(5_000, sequence=4)
        await eventually(lambda: world.app._counters["positions_out_of_order"] == 1)
        await world.say_book()
        await eventually(lambda: world.targets)
        assert world.targets[0].position_sequence == 5


async def test_a_fill_revises_the_decision_about_the_last_book_at_once(
    streams_url: str, connect: Connect
) -> None:
    async with _world(streams_url, connect) as world:
        await world.say_position(sequence=1)
        await world.say_book()
        await eventually(lambda: world.targets)
        await world.say_position(5_000, sequence=2)
        await eventually(lambda: len(world.targets) == 2)
        before, after = world.targets
        assert [quote.side for quote in after.quotes] == [Side.ASK]
        assert (after.book_sequence, after.decision_id) == (before.book_sequence, before.decision_id)
        assert after.position_sequence == 2
        await world.say_position(5_000, sequence=3)
        await world.say_book(venue_ms=NOW_MS + 1)
        await world.decided(3)
        assert world.app.status().counters["decisions"] == 3


async def test_live_configuration_opens_and_closes_trading(streams_url: str, connect: Connect) -> None:
    async with _world(streams_url, connect, trading_enabled=False) as world:
        await world.say_position()
        await world.say_book()
        await eventually(lambda: world.targets)
        assert [quote.side for quote in world.targets[-1].quotes] == []
        revision = await world.bus.put_config("strategy.global", b'{"trading_enabled":true}')
        await eventually(lambda: world.app.status().state == "running")
        await world.say_book()
        await eventually(lambda: len(world.targets) == 2)
        assert [quote.side for quote in world.targets[-1].quotes] == list(Side)
        assert world.targets[-1].config_revision == revision
        await world.bus.put_config("strategy.market.KXTEST-26NOV21-B50=2E5", b'{"enabled":false}')
        await eventually(lambda: world.app.status().gauges["config_revision"] > revision)
        await world.say_book()
        await eventually(lambda: len(world.targets) == 3)
        assert {silence.reason for silence in world.targets[-1].silences} == {Reason.MARKET_DISABLED}


async def test_a_live_entry_that_does_not_fit_changes_nothing(streams_url: str, connect: Connect) -> None:
    async with _world(streams_url, connect) as world:
        await world.say_position()
        await world.bus.put_config("strategy.default", b'{"size_e2":"many"}')
        await world.bus.put_config("strategy.market.OTHER", b'{"enabled":false}')
        await eventually(lambda: world.app.status().gauges["config_revision"] > 0)
        await world.say_book()
        await eventually(lambda: world.targets)
        assert len(world.targets[0].quotes) == 2


@pytest.mark.parametrize("family", ["md.book", "position", "signal"])
async def test_malformed_messages_are_counted_and_change_nothing(
    streams_url: str, connect: Connect, family: str
) -> None:
    keys = ("anchor", MARKET) if family == "signal" else (MARKET,)
    async with _world(streams_url, connect) as world:
        for number, data in enumerate((b"", b"{}", b"\xff", b'{"market":1}'), start=1):
            await world.bus.publish(SUBJECTS.of(family, *keys), data)
            await eventually(lambda number=number: world.app.status().counters["malformed"] == number)
        await world.say_position()
        await world.say_book()
        await eventually(lambda: world.targets)
        assert len(world.targets[0].quotes) == 2


async def test_an_error_in_one_market_empties_its_target_and_spares_the_others(
    streams_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B-053."""

    def failing(seen: Any, *rest: Any) -> TargetV1:
        if seen.market == "BAD":
            raise ZeroDivisionError("by design")
        return decide(seen, *rest)

    monkeypatch.setattr(service, "decide", failing)
    async with _world(streams_url, connect) as world:
        await world.say_position()
        await world.say_book("BAD")
        await world.say_book()
        await eventually(lambda: len(world.targets) == 2)
        by_market = {target.market: target for target in world.targets}
        assert {silence.reason for silence in by_market["BAD"].silences} == {Reason.STRATEGY_ERROR}
        assert len(by_market[MARKET].quotes) == 2
        assert world.app.status().counters["decisions_failed"] == 1


async def test_changed_decisions_reach_the_audit_stream(streams_url: str, connect: Connect) -> None:
    async with _world(streams_url, connect) as world:
        await world.say_position()
        await world.say_book()
        await eventually(lambda: world.app.status().counters["decisions_audited"] == 1)
        stored = await world.bus.last(SUBJECTS.of("audit.decision", "s-1"))
        assert stored is not None
        batch = _BATCHES.decode(stored.data)
        assert [target.decision_id for target in batch.targets] == [world.targets[0].decision_id]
        assert batch.targets[0].stages


async def test_without_the_audit_stream_quotes_go_on_and_the_loss_is_counted(
    nats_url: str, connect: Connect
) -> None:
    """Only the configuration bucket exists."""
    admin = await connect("admin")
    bucket = bucket_config(ENV, 1)
    await admin.request(f"$JS.API.STREAM.CREATE.{bucket['name']}", msgspec.json.encode(bucket))
    async with _world(nats_url, connect) as world:
        await world.say_position()
        await world.say_book()
        await eventually(lambda: world.targets)
        await eventually(lambda: world.app.status().counters["audit_dropped"] == 1)
        await world.say_book(bids=((4_500, 10_000),), asks=((4_700, 10_000),))
        await eventually(lambda: len(world.targets) == 2)


async def test_two_replicas_share_the_books_and_say_the_same(streams_url: str, connect: Connect) -> None:
    """F-003: whichever replica decides, the bytes are those that the pure function gives."""
    async with (
        _world(streams_url, connect, instance="s-1", replicas=2) as one,
        _world(streams_url, connect, instance="s-2", replicas=2) as two,
    ):
        await one.say_position()
        await eventually(lambda: two.app.status().gauges["markets_with_position_known"] == 1)
        plan = Config(trading_enabled=True, markets={"default": _DEFAULT}).plans().of(MARKET)
        expected = []
        for number in range(1, 41):
            seen = book(((4_000 + 10 * number, 500),), ((5_500, 500),), sequence=number)
            expected.append(encode(decide(seen, position(), plan)))
            await one.bus.publish(SUBJECTS.of("md.book", MARKET), encode(seen))
            await eventually(lambda number=number: len(one.targets) == number)
        assert [encode(target) for target in one.targets] == expected
        shares = [world.app.status().counters["decisions"] for world in (one, two)]
        assert sum(shares) == 40
        assert min(shares) > 0

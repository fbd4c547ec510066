"""Records are stored in order, a waiting order state gives way to a newer one, an intent never waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from libs.common.bus.api import NO_HEADERS, Ack, AppendRefused, Bus, Fence
from libs.common.domain.side import Side
from libs.common.env import Env
from libs.common.messages.base import WireDecoder
from libs.common.messages.execution import FillV1, OrderState, OrderV1
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.executor.shell.publisher import Publisher

_ORDER = WireDecoder(OrderV1)


@dataclass
class SlowStream:
    """Takes appends and acknowledges them when told."""

    stored: list[tuple[str, bytes, str]] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    may_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def append(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        fence: Fence | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout_s: float = 2.0,
    ) -> Ack:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await self.may_go.wait()
        await asyncio.sleep(0)  # an acknowledgement is never there at once
        self.open -= 1
        self.stored.append((subject, data, msg_id))
        return Ack(len(self.stored), is_duplicate=False)


@contextlib.asynccontextmanager
async def publishing(stream: SlowStream, *, late_s: float = 3_600.0) -> AsyncIterator[Publisher]:
    publisher = Publisher(cast("Bus", stream), Subjects(Env.SIM), "main", "run", cast("EventLog", None))
    publisher._late_s = late_s
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def order(version: int, filled_e2: int = 0, name: str = "c-1", **changes: Any) -> OrderV1:
    told: dict[str, Any] = {
        "account": "main", "market": "M", "shard": 0, "client_order_id": name, "order_id": "o-1",
        "decision_id": "d", "epoch": 1, "side": Side.BID, "price_e4": 5_000, "initial_e2": 500,
        "filled_e2": filled_e2, "remaining_e2": 500 - filled_e2, "state": OrderState.RESTING, "reason": "",
        "version": version, "order_group_id": "g", "updated_ns": 1,
    }  # fmt: skip
    return OrderV1(**{**told, **changes})


def fill(trade_id: str) -> FillV1:
    return FillV1(
        account="main", market="M", shard=0, trade_id=trade_id, order_id="o-1", client_order_id="c-1",
        decision_id="d", side=Side.BID, price_e4=5_000, qty_e2=100, fee_e6=0, is_taker=False, venue_ms=1,
        position_after_e2=100, pnl_delta_e6=0,
    )  # fmt: skip


async def test_a_waiting_state_gives_way_to_the_newer_one_and_every_fill_is_stored() -> None:
    stream = SlowStream()
    async with publishing(stream) as publisher:
        publisher.order(order(1), 1)
        publisher.fill(fill("t-1"))
        publisher.order(order(2, 100), 1)
        publisher.fill(fill("t-2"))
        publisher.order(order(3, 200), 1)
        publisher.order(order(1, name="c-2"), 1)
        stream.may_go.set()
        await publisher.flush(2.0)

    assert [msg_id for _, _, msg_id in stream.stored] == [
        "order-main-c-1-1-3", "fill-t-1-o-1", "fill-t-2-o-1", "order-main-c-2-1-1"
    ]  # fmt: skip
    assert _ORDER.decode(stream.stored[0][1]).filled_e2 == 200


async def test_a_state_under_way_is_not_touched() -> None:
    stream = SlowStream()
    async with publishing(stream) as publisher:
        publisher.order(order(1), 1)
        while not stream.open:
            await asyncio.sleep(0)
        publisher.order(order(2, 100), 1)
        stream.may_go.set()
        await publisher.flush(2.0)

    assert [msg_id for _, _, msg_id in stream.stored] == ["order-main-c-1-1-1", "order-main-c-1-1-2"]


async def test_beside_an_intent_only_one_record_is_under_way() -> None:
    stream = SlowStream()
    async with publishing(stream) as publisher:
        with publisher.intent():
            for number in range(6):
                publisher.fill(fill(f"t-{number}"))
            while not stream.open:
                await asyncio.sleep(0)
            stream.may_go.set()
            await publisher.flush(2.0)

    assert stream.most_open == 1
    assert len(stream.stored) == 6


async def test_records_carry_the_fence_of_the_moment_and_a_refusal_is_told() -> None:
    """What a leader of the past says late must not be read as the newest word on an order."""

    class Fenced(SlowStream):
        token = 8

        async def append(
            self,
            subject: str,
            data: bytes,
            *,
            msg_id: str,
            fence: Fence | None = None,
            headers: Mapping[str, str] = NO_HEADERS,
            timeout_s: float = 2.0,
        ) -> Ack:
            if fence is not None and fence.sequence != self.token:
                raise AppendRefused("wrong last sequence", is_fence=True)
            return await super().append(subject, data, msg_id=msg_id)

    stream, mine, refused = Fenced(), [7], list[Fence]()
    stream.may_go.set()
    async with publishing(stream) as publisher:
        publisher._log = cast("EventLog", _Silent())
        publisher.fence = lambda: Fence("epoch", mine[0])

        def on_fence_refused(fence: Fence) -> None:
            refused.append(fence)
            mine[0] = 8  # as after a takeover from itself

        publisher.on_fence_refused = on_fence_refused
        publisher.order(order(1), 1)
        await publisher.flush(2.0)

    assert refused == [Fence("epoch", 7)]
    assert [msg_id for _, _, msg_id in stream.stored] == ["order-main-c-1-1-1"]


async def test_many_waiting_records_are_stored_several_at_a_time_even_beside_an_intent() -> None:
    """Under orders without pause and a slow disk, fills must not fall behind."""
    stream = SlowStream()
    async with publishing(stream) as publisher:
        with publisher.intent():
            for number in range(100):
                publisher.fill(fill(f"t-{number}"))
            while not stream.open:
                await asyncio.sleep(0)
            stream.may_go.set()
            await publisher.flush(2.0)

    assert stream.most_open == 4
    assert len(stream.stored) == 100


async def test_a_record_that_waited_long_is_stored_with_the_others_however_few_they_are() -> None:
    """Where each acknowledgement is late, a few dozen fills in a row would be seconds late."""
    stream = SlowStream()
    async with publishing(stream, late_s=0.2) as publisher:
        with publisher.intent():
            for number in range(30):
                publisher.fill(fill(f"t-{number}"))
            await asyncio.sleep(0.3)
            stream.may_go.set()
            await publisher.flush(2.0)

    assert stream.most_open == 16
    assert [msg_id for _, _, msg_id in stream.stored] == [f"fill-t-{number}-o-1" for number in range(30)]


class _Silent:
    def event(self, *_: object, **__: object) -> None:
        """Hear nothing."""

"""Losing the cache loses nothing: a wipe, a freeze and a death cost a count, and the next write is whole."""

from __future__ import annotations

import msgspec
import redis.asyncio

from libs.common.observability.metrics import Metrics
from libs.common.runtime.log import EventLog
from services.executor.shell.projection import Projection
from tests.support.executor_builders import BOTH, a_desk
from tests.support.valkey_server import ValkeyServer


def errors(metrics: Metrics) -> float:
    (line,) = [
        line
        for line in metrics.exposition().decode().splitlines()
        if line.startswith("dora_projection_errors_total ")
    ]
    return float(line.split()[1])


async def test_a_wiped_a_frozen_and_a_dead_valkey_change_no_order_and_stop_nothing(
    valkey_server: ValkeyServer,
) -> None:
    desk, metrics = a_desk(), Metrics()
    desk.accept_all(desk.quote(*BOTH))
    before = [(o.order_id, o.state, o.remaining_e2) for o in desk.engine.account.orders.live()]
    projection = Projection(
        url=valkey_server.url, root="dora.sim", engine=desk.engine, metrics=metrics, log=EventLog()
    )

    async def shown() -> set[str]:
        async with redis.asyncio.from_url(valkey_server.url) as reader:
            data = await reader.get("dora.sim.open_orders")
        return set() if data is None else set(msgspec.json.decode(data)["orders"])

    await projection._write()
    whole = await shown()
    assert whole == {order_id for order_id, _, _ in before}

    async with redis.asyncio.from_url(valkey_server.url) as somebody:
        await somebody.flushall()
    assert await shown() == set()
    await projection._write()
    assert await shown() == whole
    assert errors(metrics) == 0

    valkey_server.freeze()
    await projection._write()
    assert errors(metrics) == 1

    valkey_server.kill()
    await projection._write()
    assert errors(metrics) == 2

    valkey_server.start()
    await projection._write()
    assert await shown() == whole
    assert errors(metrics) == 2
    assert [(o.order_id, o.state, o.remaining_e2) for o in desk.engine.account.orders.live()] == before
    assert projection._client is not None
    await projection._client.aclose()

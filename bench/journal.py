"""Measure how long a new leader reads the journal, and how long it takes until it knows the old groups.

``python -m bench.journal --records 200000``: a real NATS server, the shapes of records that a
day's trading leaves (intent, result, order states, fill, renewal), one order group of an old
epoch among them. Writing is not measured; reading is the executor's own code.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.nats_process import NatsProcess
from libs.common.bus.nats import NatsBus
from libs.common.bus.streams import create_streams
from libs.common.domain.side import Side
from libs.common.env import Env
from libs.common.messages.base import Wire, encode
from libs.common.messages.execution import (
    Action,
    FillV1,
    IntentItemV1,
    IntentV1,
    OrderGroupV1,
    OrderState,
    OrderV1,
    RenewV1,
    ResultItemV1,
    ResultV1,
)
from libs.common.runtime.memory import resident_mb
from libs.common.subjects import Subjects
from services.executor.shell.recovering import Recovering

ACCOUNT = "main"
MARKET = "KXHIGHNY-26NOV21-B52"
_TOGETHER = 200


def records(count: int) -> Iterator[tuple[str, str, Wire]]:
    """Yield family, key and message of about ``count`` records, eight a batch of two orders."""
    group = OrderGroupV1(account=ACCOUNT, epoch=1, shard=0, order_group_id="g" * 36, limit_e2=1)
    yield "exec.group", ACCOUNT, group
    for batch in range(1, count // 8 + 1):
        clients = [f"dora-sim-1-{batch}-{index}-00000000" for index in range(2)]
        yield "exec.intent", ACCOUNT, _intent(batch, clients)
        yield "exec.result", ACCOUNT, _result(batch, clients)
        for client in clients:
            for version, state in enumerate((OrderState.RESTING, OrderState.CANCELLED), 1):
                yield "order", MARKET, _order(batch, client, version, state)
        yield "fill", MARKET, _fill(batch, clients[0])
        yield "exec.renew", ACCOUNT, RenewV1(account=ACCOUNT, epoch=1, holder="h", counter=batch)


async def measure(url: str, count: int) -> None:
    """Write, read, print."""
    await create_streams(url, Env.SIM)
    bus = await NatsBus.connect(url, name="executor", env=Env.SIM)
    subjects = Subjects(Env.SIM)
    waiting = []
    for number, (family, key, message) in enumerate(records(count)):
        subject = subjects.of(family, key)
        waiting.append(bus.append(subject, encode(message), msg_id=f"bench-{number}", timeout_s=30))
        if len(waiting) == _TOGETHER:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    recovering = _recovering(bus, subjects)
    began_s = time.monotonic()
    await recovering.read_groups()
    groups_s, known = time.monotonic() - began_s, len(recovering.journal.groups)
    before_mb, began_s, cpu_s = resident_mb(), time.monotonic(), time.process_time()
    await recovering.read_journal()
    print(
        f"{count} records: old groups known after {groups_s * 1e3:.0f} ms ({known}), whole journal after "
        f"{time.monotonic() - began_s:.1f} s ({time.process_time() - cpu_s:.1f} s of own time, "
        f"{resident_mb() - before_mb:.0f} MB, {len(recovering.journal.creates)} creates)"
    )
    await bus.drain()


def _recovering(bus: NatsBus, subjects: Subjects) -> Recovering:
    class Engine:
        class account:  # noqa: N801 - stands where the engine's attribute stands
            name = ACCOUNT

    nothing = cast("Any", None)
    return Recovering(
        engine=cast("Any", Engine),
        bus=bus,
        subjects=subjects,
        reader=nothing,
        sender=nothing,
        recovery=nothing,
        log=nothing,
        now=nothing,
        perform=nothing,
        gap_s=0.0,
    )


def _intent(batch: int, clients: list[str]) -> IntentV1:
    items = tuple(
        IntentItemV1(
            action=Action.CREATE,
            market=MARKET,
            shard=0,
            client_order_id=client,
            side=Side.BID,
            price_e4=5_000,
            qty_e2=500,
            order_group_id="g" * 36,
            expires_ms=1,
            decision_id=f"20261121-090000-abcdef:{MARKET}:{batch}",
            book_sequence=batch,
        )
        for client in clients
    )
    return IntentV1(account=ACCOUNT, epoch=1, batch=batch, items=items, issued_ns=1)


def _result(batch: int, clients: list[str]) -> ResultV1:
    items = tuple(
        ResultItemV1(client_order_id=client, action=Action.CREATE, outcome="accepted", order_id=f"v-{client}")
        for client in clients
    )
    return ResultV1(account=ACCOUNT, epoch=1, batch=batch, status=0, latency_us=1, items=items)


def _order(batch: int, client: str, version: int, state: OrderState) -> OrderV1:
    return OrderV1(
        account=ACCOUNT,
        market=MARKET,
        shard=0,
        client_order_id=client,
        order_id=f"v-{client}",
        decision_id=f"20261121-090000-abcdef:{MARKET}:{batch}",
        epoch=1,
        side=Side.BID,
        price_e4=5_000,
        initial_e2=500,
        filled_e2=0,
        remaining_e2=500,
        state=state,
        reason="",
        version=version,
        order_group_id="g" * 36,
        updated_ns=1,
    )


def _fill(batch: int, client: str) -> FillV1:
    return FillV1(
        account=ACCOUNT,
        market=MARKET,
        shard=0,
        trade_id=f"t-{batch}",
        order_id=f"v-{client}",
        client_order_id=client,
        decision_id=f"20261121-090000-abcdef:{MARKET}:{batch}",
        side=Side.BID,
        price_e4=5_000,
        qty_e2=1,
        fee_e6=0,
        is_taker=False,
        venue_ms=1,
        position_after_e2=0,
        pnl_delta_e6=0,
    )


def main() -> None:
    """Run once and print one line."""
    parser = argparse.ArgumentParser(prog="python -m bench.journal")
    parser.add_argument("--records", type=int, default=200_000)
    count = parser.parse_args().records
    with tempfile.TemporaryDirectory() as folder, NatsProcess(Path(folder)) as server:
        uvloop.run(measure(server.url, count))


if __name__ == "__main__":
    main()

"""Every rule of the executor's gate: an order that breaks it is refused by a running executor, in its name.

One real executor on a real bus against the real simulated venue. An order by hand breaks exactly
one rule; the refusal on record must name that rule, soon, and the venue must have seen nothing. A
limit is broken by setting it to zero, with all the others wide: its edge is the unit file's matter.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio

from libs.common.bus.api import BusError, Message
from libs.common.bus.nats import NatsBus
from libs.common.bus.streams import create_streams
from libs.common.domain.side import Side
from libs.common.messages.base import WireDecoder, encode
from libs.common.messages.execution import AuditExecV1, Purpose
from libs.common.messages.orders import ConfirmationV1, ConfirmStatus, PlaceAskV1
from libs.common.risk.registry import RULES
from tests.controls.harness import BOUND_MS
from tests.controls.table import Part, Row, Table
from tests.support.bus import ENV
from tests.support.eventually import eventually
from tests.support.executor_builders import LIMITS, a_quote
from tests.support.executor_world import ACCOUNT, Executor, World, executor_world
from tests.support.nats_server import own_server

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

BID, ASK = a_quote(Side.BID, 5_800, 500), a_quote(Side.ASK, 6_300, 500)
_BUYS: Final[dict[str, Any]] = {"side": Side.BID, "price_e4": 6_000, "qty_e2": 200}
BREAKS: Final[dict[str, dict[str, Any]]] = {
    "on_grid": {"price_e4": 6_050},
    "exit_reduces": {"mode": Purpose.EXIT, "side": Side.ASK, "price_e4": 5_900, "qty_e2": 201},
    "price_collar": {"price_e4": 7_100},
    "self_cross": {"price_e4": 6_300},
    "duplicate": {"price_e4": 5_800},
}
"""The order that breaks a rule where zeroing a limit would not, or where the rule has none. Of a
position of 200 (`Scene.holding`), an exit of 201 is one too many."""


class Scene:
    """The world, its executor, and every refusal on record."""

    def __init__(self, world: World, executor: Executor) -> None:
        self.world = world
        self.executor = executor
        self.refused: list[tuple[float, AuditExecV1]] = []
        self._decoder = WireDecoder(AuditExecV1)

    async def listen(self) -> None:
        """Hear the executor's audit records."""
        await self.world.bus.each(self.world.subjects.all_of("audit.exec"), self._on_audit)

    def use(self, **limits: int) -> None:
        """Go by wide limits with these changed, as after a change of limits."""
        self.executor.engine.quoter.approver.use_limits(msgspec.structs.replace(LIMITS, **limits))

    async def place(self, **changes: Any) -> ConfirmationV1:
        """Ask for an order by hand and return what became of it."""
        question = PlaceAskV1(
            request_id=uuid.uuid4().hex,
            account=ACCOUNT,
            market=self.world.market,
            max_wait_s=2.0,
            poll_s=0.2,
            by="controls",
            reason="breaks a rule",
            **{**_BUYS, **changes},
        )
        subject = self.world.subjects.of("svc", "executor", "place")
        answer = await self.world.bus.request(subject, encode(question), timeout_s=10)
        return WireDecoder(ConfirmationV1).decode(answer.data)

    @contextlib.asynccontextmanager
    async def holding(self, name: str) -> AsyncIterator[None]:
        """Hold 200 where an exit is to be refused; flat again afterwards, for the others."""
        if name != "exit_reduces":
            yield
            return
        await self.world.take(Side.ASK, "0.6000", "2.00")
        await self._filled()
        yield
        await self.world.take(Side.BID, "0.5900", "2.00")
        await self._filled(mode=Purpose.EXIT, side=Side.ASK, price_e4=5_900)

    async def _filled(self, **changes: Any) -> None:
        told = await self.place(**changes)
        assert told.status is ConfirmStatus.FILLED, told

    async def _on_audit(self, message: Message) -> None:
        record = self._decoder.decode(message.data)
        if record.event_type == "ORDER_REFUSED":
            self.refused.append((time.monotonic(), record))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Yield an executor that quotes both sides of a market."""
    opened: list[NatsBus] = []
    with own_server() as server:
        await create_streams(server.url, ENV)

        async def connect(name: str = "test", **options: Any) -> NatsBus:
            opened.append(await NatsBus.connect(server.url, name=name, env=ENV, **options))
            return opened[-1]

        folder: Path = tmp_path_factory.mktemp("rules")
        async with executor_world(server.url, connect, folder) as world:
            await world.resume()
            executor = await world.start()
            await executor.bus.serve("executor", executor.app.endpoints, {})
            await eventually(lambda: executor.engine.account.desk.cash.asked_ns is not None)
            made = Scene(world, executor)
            await made.listen()
            await world.target(BID, ASK)
            await world.until_resting(2)
            yield made
        for bus in opened:
            with contextlib.suppress(BusError):
                await bus.drain()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", list(RULES))
async def test_refused_at_the_executors_gate(name: str, scene: Scene, table: Table) -> None:
    async with scene.holding(name):
        await _refuse(name, scene, table.of_rule(name, Part.SYSTEM))


async def _refuse(name: str, scene: Scene, row: Row) -> None:
    row.system_test = f"tests/controls/test_rules.py::{test_refused_at_the_executors_gate.__name__}[{name}]"
    limit = RULES[name].limit
    await scene.world.until_state(scene.executor, "running")
    ever = await scene.world.orders_ever()
    if name not in BREAKS:
        scene.use(**{limit: 0})
    scene.refused.clear()
    began_s = time.monotonic()
    try:
        told = await scene.place(**BREAKS.get(name, {}))
        await eventually(lambda: scene.refused, what=f"a refusal on record; told: {told.error_message}")
    finally:
        scene.use()

    at_s, record = scene.refused[0]
    row.gate_closed_ms, row.bound_ms = round((at_s - began_s) * 1_000, 1), BOUND_MS
    assert record.rule == name, record
    assert (told.status, told.filled_e2) == (ConfirmStatus.ERROR, 0), told
    assert name in told.error_message
    assert await scene.world.orders_ever() == ever, "the venue has seen nothing of it"
    assert row.gate_closed_ms <= row.bound_ms

"""The control plane as the executor follows it: what was only heard is never lost."""

from __future__ import annotations

import logging

import msgspec
import pytest

from libs.common.bus.memory import MemoryBus
from libs.common.control.latch import LatchState
from libs.common.env import Env
from libs.common.messages.base import encode
from libs.common.messages.control import HaltV1, ResumeV1, parse_halt
from libs.common.messages.risk import LimitV1
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.executor.core.effects import Effect, StartKill
from services.executor.shell.control import ControlWatch
from tests.support.executor_builders import ACCOUNT, Desk, a_desk

SUBJECTS = Subjects(Env.SIM)
HALT = SUBJECTS.of("ctl.halt", "operator")
LIMIT = SUBJECTS.of("ctl.limit", "main")
RESUME = SUBJECTS.of("ctl.resume", "operator")


class Plane:
    """A control watch over a stream in memory, and what it told the core."""

    def __init__(self) -> None:
        self.bus = MemoryBus()
        self.desk: Desk = a_desk()
        self.kills: list[StartKill] = []
        self.effects: list[Effect] = []
        self.watch = ControlWatch(
            bus=self.bus,
            subjects=SUBJECTS,
            halting=self.desk.engine.halting,
            on_latch=self._on_latch,
            log=EventLog(logging.getLogger("dora.test")),
            run="run",
            on_limit=self._on_limit,
        )

    def _on_latch(self, state: LatchState) -> None:
        effects = self.desk.engine.on_latch(state)
        self.kills += [effect for effect in effects if isinstance(effect, StartKill)]

    def _on_limit(self, limit: LimitV1) -> None:
        self.effects += self.desk.engine.on_limit(limit, self.desk.now)

    @property
    def is_halted(self) -> bool:
        return bool(self.desk.engine.account.gate.halt_reasons())

    async def halt(self, reason: str) -> None:
        await self.bus.append(HALT, encode(HaltV1(reason=reason)), msg_id=f"h-{reason}")

    async def limit(self, name: str, value: int, scope: str = ACCOUNT) -> None:
        limit = LimitV1(scope=scope, name=name, value=value, by="me", reason="r")
        await self.bus.append(LIMIT, encode(limit), msg_id=f"l-{name}-{value}")

    async def resume(self, halt_sequence: int) -> None:
        resume = ResumeV1(halt_sequence=halt_sequence, nonce="n", reason="r", by="me", expires_ms=0)
        await self.bus.append(RESUME, encode(resume), msg_id=f"r-{halt_sequence}")


async def a_plane() -> Plane:
    """Return a plane where a halt of the operator was lifted."""
    plane = Plane()
    await plane.halt("first")
    await plane.resume(1)
    await plane.watch.read_all()
    assert not plane.is_halted
    return plane


@pytest.mark.parametrize("key", ["operator", "me@desk", "=ff", "a.b"])
async def test_halt_under_any_key_latches_although_the_stream_refuses_it(key: str) -> None:
    plane = await a_plane()
    plane.watch.on_heard(f"{SUBJECTS.root}.ctl.halt.{key}", b"")
    assert plane.is_halted
    assert len(plane.kills) == 1


async def test_halt_that_the_stream_refuses_outlives_its_next_reading_and_is_stored_later() -> None:
    plane = await a_plane()
    plane.bus.broker.is_full = True
    plane.watch.on_heard(HALT, b"stop")
    await plane.watch.store_heard()
    await plane.watch.read_newest()
    assert plane.is_halted
    plane.bus.broker.is_full = False
    await plane.watch.store_heard()
    (stored,) = plane.bus.broker.stored(SUBJECTS.of("ctl.halt", "executor"))
    assert "stop" in parse_halt(stored.data).reason
    await plane.resume(1)
    await plane.watch.read_all()
    assert plane.is_halted
    await plane.resume(stored.sequence)
    await plane.watch.read_all()
    assert not plane.is_halted


async def test_halt_heard_right_before_a_look_is_given_time_to_show_in_the_stream() -> None:
    """Stored a second time it would be a newer halt than the one that the operator's resume names."""
    plane = await a_plane()
    plane.watch.on_heard(HALT, encode(HaltV1(reason="odd fills")))
    await plane.watch.look()
    await plane.halt("odd fills")
    await plane.watch.read_newest()
    await plane.watch.look()
    assert plane.bus.broker.stored(SUBJECTS.of("ctl.halt", "executor")) == []
    plane.watch.on_heard(HALT, b"never stored")
    await plane.watch.look()
    assert plane.bus.broker.stored(SUBJECTS.of("ctl.halt", "executor")) == []
    await plane.watch.look()
    (stored,) = plane.bus.broker.stored(SUBJECTS.of("ctl.halt", "executor"))
    assert "never stored" in parse_halt(stored.data).reason


async def test_halt_while_the_stream_is_away_kills_at_once_and_is_not_forgotten() -> None:
    plane = await a_plane()
    plane.bus.is_connected = False
    await plane.watch.read_newest()
    assert plane.kills == []
    plane.watch.on_heard(HALT, b"first")
    assert len(plane.kills) == 1
    plane.bus.is_connected = True
    await plane.watch.read_newest()
    assert plane.is_halted


async def test_lowered_limit_is_followed_once_whoever_reads_it_how_often() -> None:
    plane = await a_plane()
    plane.desk.engine.account.gate.is_rebuilt = True
    approver = plane.desk.engine.quoter.approver
    await plane.limit("orders_per_s_max", 5)
    await plane.limit("order_qty_e2_max", 300)
    await plane.bus.append(LIMIT, b"no limit at all", msg_id="l-malformed")
    await plane.watch.read_newest()
    await plane.watch.read_all()
    await plane.watch.read_newest()
    assert (approver.limits.orders_per_s_max, approver.limits.order_qty_e2_max) == (5, 300)
    assert approver.revision == 2


async def test_process_that_is_born_reads_every_change_in_order_up_to_its_configuration() -> None:
    plane = Plane()
    approver, configured = plane.desk.engine.quoter.approver, plane.desk.engine.quoter.approver.limits
    await plane.limit("orders_per_s_max", 5)
    await plane.limit("orders_per_s_max", 7)
    await plane.limit("order_qty_e2_max", 300)
    await plane.limit("order_qty_e2_max", configured.order_qty_e2_max * 2)
    await plane.limit("account_orders_max", configured.account_orders_max * 2)
    await plane.limit("account_orders_max", 1, scope="other")
    await plane.watch.read_all()
    assert approver.limits == msgspec.structs.replace(configured, orders_per_s_max=7)

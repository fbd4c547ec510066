"""The control plane as the executor follows it: what was only heard is never lost."""

from __future__ import annotations

import asyncio
import copy
import logging
from typing import Any

import msgspec
import pytest

from libs.common.bus.api import BusUnavailable
from libs.common.bus.memory import MemoryBus
from libs.common.control.latch import LatchState
from libs.common.control.signing import Verifier
from libs.common.env import Env
from libs.common.messages.base import encode
from libs.common.messages.control import HaltV1, ResumeV1, ScopeKind, parse_halt
from libs.common.runtime.clock import ManualClock
from libs.common.runtime.latch_file import LatchWord
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.executor.core.effects import Effect, StartKill
from services.executor.shell import control
from services.executor.shell.control import ControlWatch
from tests.support.eventually import eventually
from tests.support.executor_builders import ACCOUNT, Desk, a_desk
from tests.support.resumes import (
    UNSIGNED,
    Person,
    a_limit,
    a_raise,
    a_resume,
    admission,
    signed,
    verifier_of,
)

SUBJECTS = Subjects(Env.SIM)
HALT = SUBJECTS.of("ctl.halt", "operator")
LIMIT = SUBJECTS.of("ctl.limit", "main")
RESUME = SUBJECTS.of("ctl.resume", "operator")


class Plane:
    """A control watch over a stream in memory, and what it told the core."""

    def __init__(self, verifier: Verifier = UNSIGNED) -> None:
        self.desk: Desk = a_desk()
        self.bus = MemoryBus(clock=ManualClock(self.desk.now.ms * 1_000_000))
        self.kills: list[StartKill] = []
        self.effects: list[Effect] = []
        self.stored = 0
        self.watch = ControlWatch(
            bus=self.bus,
            subjects=SUBJECTS,
            halting=self.desk.engine.halting,
            on_latch=self._on_latch,
            log=EventLog(logging.getLogger("dora.test")),
            run="run",
            admission=admission(verifier),
            now_ms=lambda: self.bus.broker.clock.now_ns() // 1_000_000,
            limits=self.desk.engine.limits,
            on_limits=self._on_limits,
        )

    def _on_latch(self, state: LatchState) -> None:
        effects = self.desk.engine.on_latch(state)
        self.kills += [effect for effect in effects if isinstance(effect, StartKill)]

    def _on_limits(self) -> None:
        self.effects += self.desk.engine.on_limits(self.desk.now)

    @property
    def now_ms(self) -> int:
        return self.bus.broker.clock.now_ns() // 1_000_000

    def is_halted(self) -> bool:
        return bool(self.desk.engine.account.gate.halt_reasons())

    async def halt(self, reason: str) -> None:
        await self.bus.append(HALT, encode(HaltV1(reason=reason)), msg_id=f"h-{reason}")

    async def limit(self, name: str, value: int, scope: str = ACCOUNT) -> None:
        limit = a_limit(name, value, scope=scope)
        await self.bus.append(LIMIT, encode(limit), msg_id=f"l-{name}-{value}")

    async def resume(self, halt_sequence: int) -> None:
        await self.store(a_resume(halt_sequence, at_ms=self.now_ms))

    async def store(self, resume: ResumeV1) -> None:
        self.stored += 1
        await self.bus.append(RESUME, encode(resume), msg_id=f"r-{self.stored}")


async def a_plane() -> Plane:
    """Return a plane where a halt of the operator was lifted."""
    plane = Plane()
    await plane.halt("first")
    await plane.resume(1)
    await plane.watch.read_all()
    assert not plane.is_halted()
    return plane


@pytest.mark.parametrize("key", ["operator", "me@desk", "=ff", "a.b"])
async def test_halt_under_any_key_latches_although_the_stream_refuses_it(key: str) -> None:
    plane = await a_plane()
    plane.watch.on_heard(f"{SUBJECTS.root}.ctl.halt.{key}", b"")
    assert plane.is_halted()
    assert len(plane.kills) == 1


async def test_halt_that_the_stream_refuses_outlives_its_next_reading_and_is_stored_later() -> None:
    plane = await a_plane()
    plane.bus.broker.is_full = True
    plane.watch.on_heard(HALT, b"stop")
    await plane.watch.store_heard()
    await plane.watch.read_newest()
    assert plane.is_halted()
    plane.bus.broker.is_full = False
    await plane.watch.store_heard()
    (stored,) = plane.bus.broker.stored(SUBJECTS.of("ctl.halt", "executor"))
    assert "stop" in parse_halt(stored.data).reason
    await plane.resume(1)
    await plane.watch.read_all()
    assert plane.is_halted()
    await plane.resume(stored.sequence)
    await plane.watch.read_all()
    assert not plane.is_halted()


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
    assert plane.is_halted()


async def test_newest_of_each_source_are_not_enough_where_the_whole_was_never_read() -> None:
    """A halt of the account is older and wider than the newest one of its source."""
    plane = Plane()
    await plane.halt("first")
    await plane.resume(1)
    await plane.halt("stop everything")
    one = HaltV1(reason="and this one", scope=ScopeKind.MARKET, scope_key="KXRAIN-26-T1")
    await plane.bus.append(HALT, encode(one), msg_id="one")
    plane.bus.is_connected = False
    await plane.watch.read_all()
    assert plane.watch.fold.state().source == "unreadable"
    plane.bus.is_connected = True
    await plane.watch.read_newest()
    state = plane.watch.fold.state()
    assert (state.is_halted, state.reason) == (True, "stop everything")


async def test_stream_that_could_not_be_followed_again_is_followed_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plane = await a_plane()
    monkeypatch.setattr(control, "_STORE_AFTER_S", 0.01)
    running = asyncio.create_task(plane.watch.run())
    await asyncio.sleep(0)
    follow, refusals = plane.bus.follow, [1]

    async def refusing(*args: Any, **more: Any) -> Any:
        if refusals.pop() if refusals else 0:
            raise BusUnavailable("not now")
        return await follow(*args, **more)

    monkeypatch.setattr(plane.bus, "follow", refusing)
    restored = MemoryBus(clock=plane.bus.broker.clock)
    await restored.append(HALT, b"another stream", msg_id="1")
    plane.bus.broker = restored.broker
    await plane.watch.read_newest()
    assert not refusals
    names = ("order_qty_e2_max", "market_orders_max")
    for name in names:
        await plane.limit(name, 1)
    await plane.watch.read_newest()
    await eventually(lambda: set(plane.desk.engine.limits.names) == {*names}, 1, what="both changes")
    running.cancel()


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
    more = configured.order_qty_e2_max * 2
    raised = a_raise("order_qty_e2_max", more, after=3, at_ms=plane.now_ms, until_ms=plane.now_ms + 3_600_000)
    await plane.bus.append(LIMIT, encode(raised), msg_id="raise")
    await plane.limit("account_orders_max", 1, scope="other")
    await plane.watch.read_all()
    assert approver.limits == msgspec.structs.replace(configured, orders_per_s_max=5)


async def test_raise_behind_a_change_that_it_does_not_name_is_void() -> None:
    plane = Plane()
    approver = plane.desk.engine.quoter.approver
    await plane.limit("order_qty_e2_max", 300)
    await plane.limit("order_qty_e2_max", 200)
    raised = a_raise("order_qty_e2_max", 250, after=1, at_ms=plane.now_ms, until_ms=plane.now_ms + 3_600_000)
    await plane.bus.append(LIMIT, encode(raised), msg_id="raise")
    await plane.watch.read_all()
    assert approver.limits.order_qty_e2_max == 200


REFUSED: dict[str, dict[str, Any]] = {
    "another environment": {"env": "live"},
    "another account": {"account": "other"},
    "no nonce": {"nonce": ""},
    "nobody": {"by": " "},
    "no reason": {"reason": ""},
    "expired when it was stored": {"expires_ms": 1_699_999_999_999},
    "an expiry that nobody would wait for": {"expires_ms": 1_700_000_400_000},
    "an older halt": {"halt_sequence": 2},
    "a halt that is still to come": {"halt_sequence": 9},
    "one that was never stored": {"halt_sequence": 4},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
async def test_resume_that_was_not_meant_for_this_halt_here_and_now_lifts_nothing(
    changes: dict[str, Any],
) -> None:
    plane = await a_plane()
    await plane.halt("second")
    resume = a_resume(3, at_ms=plane.now_ms)
    await plane.store(msgspec.structs.replace(resume, **changes))
    await plane.watch.read_all()
    assert plane.is_halted()
    await plane.store(resume if resume.nonce != changes.get("nonce") else a_resume(3, at_ms=plane.now_ms))
    await plane.watch.read_all()
    assert plane.is_halted() is ("halt_sequence" in changes), "its nonce was used, whatever for"


async def test_resume_needs_the_signatures_of_two_people_and_counts_each_once() -> None:
    ann, bob, eve = Person("ann"), Person("bob"), Person("eve")
    plane = Plane(verifier_of(ann, bob, required=2))
    await plane.halt("first")
    offer = a_resume(1, at_ms=plane.now_ms)
    other = msgspec.structs.replace(offer, halt_sequence=7)
    for signatures in (
        (),
        (ann.sign(offer),),
        (ann.sign(offer), ann.sign(offer)),
        (ann.sign(offer), eve.sign(offer)),
        (ann.sign(offer), ann.sign(offer).replace("ann", "bob")),
        (ann.sign(offer), bob.sign(other)),
        (ann.sign(offer), "bob:", "bob", ":", "bob:!!"),
    ):
        fresh = a_resume(1, at_ms=plane.now_ms)
        await plane.store(msgspec.structs.replace(offer, signatures=signatures))
        await plane.watch.read_all()
        assert plane.is_halted(), signatures
        assert fresh.nonce != offer.nonce
    await plane.store(signed(offer, ann, bob))
    await plane.watch.read_all()
    assert not plane.is_halted()


async def test_resume_is_judged_by_the_time_of_its_storing_for_ever() -> None:
    plane = await a_plane()
    clock = plane.bus.broker.clock
    assert isinstance(clock, ManualClock)
    clock.advance(3 * 365 * 86_400 * 1_000_000_000)
    reborn = Plane()
    reborn.bus.broker = plane.bus.broker
    await reborn.watch.read_all()
    assert not reborn.is_halted()


async def test_one_person_counts_in_live_after_a_delay_that_a_halt_ends() -> None:
    ann = Person("ann")
    plane = Plane(verifier_of(ann, required=1, delay_s=300))
    clock = plane.bus.broker.clock
    assert isinstance(clock, ManualClock)
    await plane.halt("first")
    await plane.store(signed(a_resume(1, at_ms=plane.now_ms), ann))
    await plane.watch.read_all()
    assert plane.is_halted()
    clock.advance(299_999 * 1_000_000)
    assert not plane.watch.release()
    clock.advance(1_000_000)
    assert plane.watch.release()
    assert not plane.is_halted()
    await plane.halt("second")
    await plane.store(signed(a_resume(3, at_ms=plane.now_ms), ann))
    await plane.halt("third")
    await plane.watch.read_all()
    clock.advance(300_000 * 1_000_000)
    plane.watch.release()
    assert plane.is_halted()


async def test_second_halt_in_the_words_of_the_first_is_not_lifted_with_it() -> None:
    plane = await a_plane()
    plane.bus.broker.is_full = True
    for way in ("listener", "bus", "listener", "bus"):
        plane.watch.on_heard(HALT, encode(HaltV1(reason="stop")), way)
    plane.bus.broker.is_full = False
    await plane.halt("stop")
    await plane.watch.read_all()
    await plane.resume(3)
    await plane.watch.read_all()
    assert plane.is_halted(), "the second one has no copy that a resume could name"
    await plane.watch.store_heard()
    (copy,) = plane.bus.broker.stored(SUBJECTS.of("ctl.halt", "executor"))
    await plane.resume(copy.sequence)
    await plane.watch.read_all()
    assert not plane.is_halted()


async def test_one_halt_heard_by_both_ways_leaves_nothing_behind_its_copy() -> None:
    plane = await a_plane()
    for way in ("listener", "bus"):
        plane.watch.on_heard(HALT, encode(HaltV1(reason="stop")), way)
    await plane.halt("stop")
    await plane.watch.read_newest()
    assert not plane.watch.fold.heard
    await plane.resume(3)
    await plane.watch.read_newest()
    assert not plane.is_halted()


async def test_stream_that_went_back_halts_although_it_says_running() -> None:
    plane = await a_plane()
    old = copy.deepcopy(plane.bus.broker.stored(f"{SUBJECTS.root}.ctl.>"))
    await plane.halt("second")
    await plane.resume(3)
    await plane.watch.read_newest()
    assert not plane.is_halted()
    restored = MemoryBus(clock=plane.bus.broker.clock)
    for number, message in enumerate(old):
        await restored.append(message.subject, message.data, msg_id=str(number))
    plane.bus.broker = restored.broker
    await plane.watch.read_newest()
    assert plane.is_halted()
    assert len(plane.kills) >= 1
    await plane.watch.store_heard()
    await plane.watch.store_heard()
    newest = restored.broker.newest(SUBJECTS.all_of("ctl.halt"))
    assert newest is not None
    assert "is another one" in str(restored.broker.stored(SUBJECTS.of("ctl.halt", "executor")))
    await plane.resume(newest.sequence)
    await plane.watch.read_newest()
    assert not plane.is_halted()


async def test_file_that_knows_a_newer_halt_than_the_stream_is_believed() -> None:
    for word in (
        LatchWord(is_halted=True, halt_sequence=9, reason="fat finger"),
        LatchWord(is_halted=False, halt_sequence=9, reason="resumed"),
    ):
        plane = Plane()
        plane.desk.engine.halting.word = word
        await plane.halt("first")
        await plane.resume(1)
        await plane.watch.read_all()
        assert plane.desk.engine.account.gate.file_reason
        await plane.watch.store_heard()
        assert plane.is_halted()
        (stored,) = plane.bus.broker.stored(SUBJECTS.of("ctl.halt", "executor"))
        await plane.resume(stored.sequence)
        await plane.watch.read_all()
        assert not plane.is_halted()

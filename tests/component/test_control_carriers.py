"""Three carriers of a halt, OR-ed: with any of them cut, alone or in pairs, a halt halts; with all, silence.

Real NATS, real latch files; executor and riskguard as in `tests/support/control_sides.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from libs.common.bus.api import BusUnavailable
from libs.common.bus.nats import NatsBus
from libs.common.messages.base import WireDecoder, encode
from libs.common.messages.control import PermitV1
from libs.common.runtime.clock import SystemClock
from libs.common.runtime.latch_file import UNSTORED, LatchFile
from services.executor.core.gate import Gate, GateLimits
from services.executor.shell import control
from tests.support.bus import ENV
from tests.support.control_sides import SUBJECTS, ExecutorSide, GuardSide, until
from tests.support.executor_builders import ACCOUNT
from tests.support.nats_server import NatsServer
from tests.support.resumes import a_resume

CARRIERS: Final = ("core", "stream", "file")
CUTS: Final = [cut for size in (1, 2) for cut in itertools.combinations(CARRIERS, size)]
HALT: Final = SUBJECTS.of("ctl.halt", "operator")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_REREAD_S", 0.2)
    monkeypatch.setattr(control, "_STORE_AFTER_S", 0.1)


async def resume_newest(bus: NatsBus) -> None:
    newest = await bus.last(SUBJECTS.all_of("ctl.halt"))
    assert newest is not None
    resume = a_resume(newest.sequence)
    await bus.append(SUBJECTS.of("ctl.resume", "operator"), encode(resume), msg_id=resume.nonce)


@pytest.fixture
async def executor(streams_url: str, tmp_path: Path) -> AsyncIterator[ExecutorSide]:
    side = ExecutorSide(streams_url, tmp_path)
    bus = await NatsBus.connect(streams_url, name="riskguard", env=ENV)
    await resume_newest(bus)
    side.start()
    await until(lambda: side.is_ready and not side.is_halted(), 5, "running")
    await until(lambda: not side.file.read().is_halted, 2, "a clear file")
    yield side
    await side.stop()
    await bus.drain()


def unwritable(_: object, *__: object, **___: object) -> None:
    raise OSError(28, "no space left on device")


@pytest.mark.parametrize("cut", CUTS, ids=["+".join(cut) for cut in CUTS])
async def test_halt_halts_with_these_carriers_cut(
    cut: tuple[str, ...], executor: ExecutorSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = executor.watch
    assert watch is not None
    bus = await NatsBus.connect(executor.url, name="operator", env=ENV)
    if "file" in cut:
        monkeypatch.setattr(LatchFile, "_write", unwritable)
    if "core" in cut:
        executor.hears_core = False
    if "stream" in cut:
        cut_stream(watch, monkeypatch)
    if cut == ("core", "stream"):
        # The file is a memory, not a wire: what it remembers halts whoever starts with it.
        await executor.stop()
        executor.file.halt(UNSTORED, "fat finger", SystemClock().now_ns())
        word = executor.file.read()
        executor.start()
        assert word.is_halted
    else:
        await bus.publish(HALT, b"")
    began = time.monotonic()
    await until(executor.is_halted, 2, "halted")
    assert time.monotonic() - began < 1.0
    await bus.drain()


def cut_stream(watch: control.ControlWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing come from the stream any more, without a word that it is gone."""

    async def nothing(_: object) -> None:
        await asyncio.sleep(3_600)

    monkeypatch.setattr(watch, "_take", lambda _: None)
    monkeypatch.setattr(watch, "read_newest", lambda: nothing(None))


async def test_stream_that_answers_nobody_closes_the_gate_by_itself(
    executor: ExecutorSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that is cut and known to be cut is no proof of anything: unreadable is closed."""
    watch = executor.watch
    assert watch is not None

    async def away(_: str) -> list[object]:
        raise BusUnavailable("no leader")

    monkeypatch.setattr(watch._bus, "last_each", away)
    await until(executor.is_halted, 2, "closed")
    monkeypatch.undo()
    await until(lambda: not executor.is_halted(), 8, "open again: nobody halted")


async def test_riskguards_latches_hear_each_carrier_alone(streams_url: str, tmp_path: Path) -> None:
    bus = await NatsBus.connect(streams_url, name="operator", env=ENV)
    guard = GuardSide(streams_url, tmp_path)
    await resume_newest(bus)
    # The file alone: absent is halted, and what it says is stored, so that a resume can name it.
    guard.start()
    await until(lambda: guard.is_ready and guard.is_halted(), 5, "halted by an absent file")
    await until(lambda: not guard.core.latches.fold.heard, 5, "the file's halt stored")
    await resume_newest(bus)
    await until(lambda: not guard.is_halted(), 8, "running")
    # The stream alone: stored while it was away.
    await guard.stop()
    await bus.append(HALT, b"while you were away", msg_id="away")
    guard.start()
    await until(lambda: guard.is_ready and guard.is_halted(), 5, "halted by the stream")
    await resume_newest(bus)
    await until(lambda: not guard.is_halted(), 8, "running")
    # The core subject alone: nothing from the stream is read for as long as this takes.
    await bus.publish(HALT, b"\xff")
    await until(guard.is_halted, 1, "halted by the core subject")
    await guard.stop()
    await bus.drain()


# All cut: silence -------------------------------------------------------------------------------------


@pytest.fixture
def frozen(nats_server: NatsServer) -> Iterator[NatsServer]:
    yield nats_server
    nats_server.thaw()


class Permits:
    """A gate that hears the permits of one issuer on a real bus."""

    def __init__(self) -> None:
        self.gate = Gate(ACCOUNT, GateLimits(), issuers=("risk",))
        self.arrived = 0
        self.sent = 0

    async def hear(self, bus: NatsBus) -> None:
        decoder = WireDecoder(PermitV1)

        async def take(message: object) -> None:
            permit = decoder.decode(message.data)  # type: ignore[attr-defined]
            self.arrived += self.gate.on_permit(
                "risk", permit, time.monotonic_ns(), time.time_ns() // 1_000_000
            )

        await bus.latest(SUBJECTS.of("permit.risk", ACCOUNT), take)

    async def give(self, bus: NatsBus, *, says_when: bool = True) -> None:
        """Be riskguard, until cancelled."""
        while True:
            self.sent += 1
            sent_ms = time.time_ns() // 1_000_000 if says_when else 0
            permit = PermitV1(
                issuer="riskguard",
                boot="b",
                counter=self.sent,
                account=ACCOUNT,
                is_open=True,
                sent_ms=sent_ms,
            )
            await bus.publish(SUBJECTS.of("permit.risk", ACCOUNT), encode(permit))
            await asyncio.sleep(0.1)

    @property
    def is_open(self) -> bool:
        reasons = self.gate._permit_reasons("risk", time.monotonic_ns(), is_exit=False)
        return reasons == []


@pytest.mark.parametrize("says_when", [True, False])
async def test_permits_of_a_dead_issuer_that_a_frozen_broker_held_back_open_nothing(
    frozen: NatsServer, *, says_when: bool
) -> None:
    """Freeze the broker, let the issuer go on a while and die, thaw: its last words arrive as if fresh."""
    hearer = await NatsBus.connect(frozen.url, name="executor", env=ENV)
    issuer = await NatsBus.connect(frozen.url, name="riskguard", env=ENV)
    permits = Permits()
    await permits.hear(hearer)
    giving = asyncio.create_task(permits.give(issuer, says_when=says_when))
    await until(lambda: permits.is_open, 5, "an open gate")
    frozen.freeze()
    heard, began = permits.arrived, time.monotonic()
    await asyncio.sleep(0.5)
    giving.cancel()
    await until(lambda: not permits.is_open, 3, "closed by silence")
    assert time.monotonic() - began < 2.3, "within the two seconds that a permit counts"
    await asyncio.sleep(max(0.0, began + 2.8 - time.monotonic()))
    frozen.thaw()
    await until(lambda: permits.arrived > heard, 3, "the dead one's last words")
    # Without the issuer's clock they would count for two seconds more: what this test is about.
    assert permits.is_open is not says_when
    await hearer.drain()
    await issuer.drain()

"""Halted is halted, whatever is lost and in whatever order everything comes back (acceptance line 2).

Two hundred orderings of: stop everything, wipe Valkey, lose the NATS volume, restore a NATS backup that
was taken while running before the halt, restart in random order. All permutations once, and then
eighty more with other orders of restarting. A real NATS server and a real Valkey are killed, wiped and
brought back as `dora up` does it; executor and riskguard are their real latch parts in this process
(`tests/support/control_sides.py`), which is what keeps two hundred runs within minutes. They check the
stream five times a second here in place of once in five seconds, so that each run sees what they make of
the last thing that was done. Neither may say running at any moment after the halt, not only at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from libs.common.bus.nats import NatsBus
from libs.common.bus.streams import create_streams
from libs.common.messages.base import encode
from services.executor.shell import control
from services.riskguard.shell import inputs
from tests.support.bus import ENV
from tests.support.control_sides import SUBJECTS, ExecutorSide, GuardSide, until
from tests.support.nats_server import NatsServer, free_port, plain_config
from tests.support.resumes import a_resume
from tests.support.valkey_server import ValkeyServer

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(1_200),
    # Connections are cut in the middle of everything, and the client leaves their sockets to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

OPS: Final = ("stop", "wipe_valkey", "lose_nats", "restore_nats", "restart")
RUNS: Final = 200
PAYLOADS: Final = (b"", b"fat finger", b"\xff{", b'{"reason":"stop","by":"ann"}')
_SETTLE_S: Final = 10.0


@dataclass
class Plant:
    """Everything that remembers a halt, and a Valkey that must not matter."""

    folder: Path
    nats: NatsServer
    valkey: ValkeyServer
    executor: ExecutorSide = field(init=False)
    guard: GuardSide = field(init=False)

    def __post_init__(self) -> None:
        self.executor = ExecutorSide(self.nats.url, self.folder / "state")
        self.guard = GuardSide(self.nats.url, self.folder / "state")

    @property
    def volume(self) -> Path:
        """Return where the server keeps its streams."""
        return self.nats.store / "js"

    async def start(self, what: str) -> None:
        """Start one part."""
        if what == "nats" and self.nats.process is None:
            await asyncio.to_thread(self.nats.start)
            # Each `dora up` does this: what is there stays, a lost volume is made anew and born halted.
            await create_streams(self.nats.url, ENV)
        elif what == "valkey" and self.valkey.process is None:
            await asyncio.to_thread(self.valkey.start)
        elif what == "executor" and not self.executor.is_up:
            self.executor.start()
        elif what == "riskguard" and not self.guard.is_up:
            self.guard.start()

    async def stop(self, what: str) -> None:
        """End one part as a crash does."""
        match what:
            case "nats":
                self.nats.kill()
            case "valkey":
                self.valkey.kill()
            case "executor":
                await self.executor.stop()
            case _:
                await self.guard.stop()

    async def do(self, op: str, chance: random.Random, backup: Path) -> None:
        """Do one thing to it."""
        parts = ["nats", "valkey", "executor", "riskguard"]
        if op in ("stop", "restart"):
            chance.shuffle(parts)
            for part in parts:
                await self.stop(part)
        if op == "restart":
            chance.shuffle(parts)
            for part in parts:
                await self.start(part)
                await asyncio.sleep(chance.choice((0.0, 0.0, 0.05)))
        elif op == "wipe_valkey" and self.valkey.process is not None:
            flush_all(self.valkey.port)
        elif op in ("lose_nats", "restore_nats"):
            was_up = self.nats.process is not None
            self.nats.kill()
            shutil.rmtree(self.volume, ignore_errors=True)
            if op == "restore_nats":
                shutil.copytree(backup, self.volume)
            if was_up:
                await self.start("nats")

    async def up(self) -> None:
        """Start whatever is down and wait until both sides have read the stream."""
        for part in ("nats", "valkey", "executor", "riskguard"):
            await self.start(part)
        await until(lambda: self.executor.is_ready and self.guard.is_ready, _SETTLE_S, "both sides to read")

    async def read_again(self) -> None:
        """Wait until both sides have read what the stream is now, after everything that was done."""
        for side in (self.executor, self.guard):
            seen = side.reads
            await until(lambda side=side, seen=seen: side.reads > seen + 1, _SETTLE_S, f"{side.name} to read")

    async def halt(self, payload: bytes, *, is_stored: bool) -> None:
        """Halt, and wait until both obey and both files know."""
        bus = await NatsBus.connect(self.nats.url, name="operator", env=ENV)
        subject = SUBJECTS.of("ctl.halt", "operator")
        if is_stored:
            await bus.append(subject, payload, msg_id="halt")
        else:
            await bus.publish(subject, payload)
        await until(lambda: self.executor.is_halted() and self.guard.is_halted(), 2, "both halted")
        await until(self.files_say_halted, 2, "both files halted")
        await bus.drain()
        self.executor.is_armed = self.guard.is_armed = True

    def files_say_halted(self) -> bool:
        """Return whether both latch files say halted."""
        return self.executor.file.read().is_halted and self.guard.file.read().is_halted

    async def resume(self) -> None:
        """Resume as a person does: whatever halt is the newest, once all are stored."""
        self.executor.is_armed = self.guard.is_armed = False
        bus = await NatsBus.connect(self.nats.url, name="riskguard", env=ENV)

        async def is_running() -> bool:
            newest = await bus.last(SUBJECTS.all_of("ctl.halt"))
            assert newest is not None
            resume = a_resume(newest.sequence)
            await bus.append(SUBJECTS.of("ctl.resume", "operator"), encode(resume), msg_id=resume.nonce)
            await asyncio.sleep(0.3)
            return not self.executor.is_halted() and not self.guard.is_halted()

        await until(is_running, 20, f"running again; {self.executor.why()}; {self.guard.why()}")
        await bus.drain()

    async def end(self) -> None:
        """End everything."""
        for part in ("executor", "riskguard", "valkey", "nats"):
            await self.stop(part)


def look_often(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inputs, "_VERIFY_S", 0.2)
    patch.setattr(inputs, "_RETRY_S", 0.1)
    patch.setattr(control, "_REREAD_S", 0.2)
    patch.setattr(control, "_STORE_AFTER_S", 0.1)


def flush_all(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(b"FLUSHALL\r\n")
        assert link.recv(64).startswith(b"+OK")


def a_plant(folder: Path) -> Plant:
    store = folder / "nats"
    store.mkdir(parents=True)
    nats = NatsServer(free_port(), free_port(), store, store / "server.conf")
    nats.config.write_text(plain_config(nats.port, nats.http_port, store))
    (folder / "valkey").mkdir()
    return Plant(folder, nats, ValkeyServer(free_port(), folder / "valkey"))


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    look_often(monkeypatch)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder with the NATS volume and the latch files of a Dora that was running."""
    folder = tmp_path_factory.mktemp("template")

    async def make() -> None:
        plant = a_plant(folder)
        try:
            await plant.start("nats")
            await plant.up()
            assert plant.executor.is_halted(), "born halted"
            assert plant.guard.is_halted(), "born halted"
            await plant.resume()
            await until(lambda: not plant.executor.file.read().is_halted, 5, "the executor's file clear")
            await until(lambda: not plant.guard.file.read().is_halted, 5, "the riskguard's file clear")
        finally:
            await plant.end()

    asyncio.run(make())
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def orderings() -> list[tuple[tuple[str, ...], int]]:
    every = list(itertools.permutations(OPS))
    more = random.Random(7).choices(every, k=RUNS - len(every))
    return [(ops, number) for number, ops in enumerate([*every, *more])]


async def one(folder: Path, running: Path, ops: tuple[str, ...], number: int) -> None:
    """Halt a running Dora, do these things to it, and look at it all the time."""
    chance = random.Random(number)
    plant = a_plant(folder)
    shutil.copytree(running / "nats" / "js", plant.volume)
    shutil.copytree(running / "state", folder / "state")
    try:
        await plant.up()
        assert not plant.executor.is_halted(), plant.executor.why()
        assert not plant.guard.is_halted(), plant.guard.why()
        await plant.halt(chance.choice(PAYLOADS), is_stored=chance.random() < 0.7)
        for op in ops:
            await plant.do(op, chance, running / "nats" / "js")
        await plant.up()
        await plant.read_again()
        for side in (plant.executor, plant.guard):
            assert side.is_halted(), side.why()
            assert side.violations == [], side.violations[0]
        if number % 20 == 0:
            await plant.resume()  # halted, and not dead: the right resume still lifts it
    finally:
        await plant.end()
        shutil.rmtree(folder, ignore_errors=True)


def test_halt_outlives_every_ordering_of_stops_losses_restores_and_restarts(
    running: Path, tmp_path: Path
) -> None:
    failures = []
    for ops, number in orderings():
        try:
            asyncio.run(one(tmp_path / str(number), running, ops, number))
        except AssertionError as e:
            failures.append(f"{number} {ops}: {e}")
            with contextlib.suppress(OSError):
                shutil.rmtree(tmp_path / str(number))
    assert failures == [], f"{len(failures)} of {RUNS}"


def test_there_are_two_hundred_orderings_and_every_permutation_is_among_them() -> None:
    made = orderings()
    assert len(made) == RUNS
    assert {ops for ops, _ in made} == set(itertools.permutations(OPS))

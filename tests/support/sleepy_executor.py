"""The real executor as a process that falls asleep at one place: between journal and send.

``python -m tests.support.sleepy_executor`` is `services.executor` with one thing around it,
the bus: after the acknowledgement of an intent the process stops itself with SIGSTOP, if the
file that ``SLEEPY_ARM`` names is there. Whoever writes the file chooses what happens on waking:

    checks     nothing is changed: the executor's own clock must stop it
    disarmed   approval, gate and halt flag say yes from now on, so that it really sends, and only
               the venue can refuse it

The file ``SLEEPY_ARM`` + ``.woke`` then says how long it slept, by the monotonic clock, and
which batch it held, and ``.stopped`` which check said no first. ``SLEEPY_SKEW_S`` shifts the
wall clock (headers, expiries, book ages). ``SLEEPY_WITHOUT=trigger`` leaves out what a new
leader does to old groups, to show what that is for.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from libs.common.bus.api import Ack, Bus
from libs.common.messages.base import WireDecoder
from libs.common.messages.execution import IntentV1
from libs.common.runtime.app import Runtime
from libs.common.runtime.clock import SystemClock
from libs.common.runtime.runner import run_service
from services.executor.config import Config
from services.executor.core.engine import Engine
from services.executor.core.recovery import Recovery
from services.executor.core.seal import Seal
from services.executor.shell.halt_listener import HaltFlag
from services.executor.shell.service import ExecutorApp
from services.executor.wiring import wire

_INTENT = WireDecoder(IntentV1)


class Woke(msgspec.Struct, frozen=True):
    """What the process tells of its sleep."""

    mode: str
    epoch: int
    batch: int
    clients: tuple[str, ...]
    slept_ns: int


class SleepyBus:
    """A bus that hands everything through; an intent's acknowledgement may be followed by a sleep."""

    def __init__(self, bus: Bus, arm: Path) -> None:
        self._bus = bus
        self._arm = arm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def append(self, subject: str, data: bytes, **options: Any) -> Ack:
        """Append; sleep after the acknowledgement of an intent if armed."""
        ack = await self._bus.append(subject, data, **options)
        if ".exec.intent." in subject and self._arm.exists():
            self._sleep(_INTENT.decode(data))
        return ack

    def _sleep(self, intent: IntentV1) -> None:
        mode = self._arm.read_text(encoding="utf-8")
        self._arm.unlink()
        if mode == "disarmed":
            disarm()
        else:
            watch(self._arm.with_suffix(".stopped"))
        before_ns = time.monotonic_ns()
        # To this very thread: the signal is taken before the call returns, not somewhere later.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        clients = tuple(item.client_order_id for item in intent.items)
        woke = Woke(mode, intent.epoch, intent.batch, clients, time.monotonic_ns() - before_ns)
        draft = self._arm.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(woke))
        draft.rename(self._arm.with_suffix(".woke"))


def disarm() -> None:
    """Let everything say yes that looks at a clock, a latch or a seal between journal and wire."""
    Seal.spend = lambda *_: None  # type: ignore[method-assign]
    Engine.may_send = lambda *_: None  # type: ignore[method-assign]
    HaltFlag.is_up = False  # type: ignore[assignment]


def watch(note: Path) -> None:
    """Write down which of the executor's own checks says no first; they decide as ever."""

    def watched(check: Callable[..., str | None]) -> Callable[..., str | None]:
        def asked(*arguments: Any) -> str | None:
            why = check(*arguments)
            if why is not None and not note.exists():
                note.write_text(why, encoding="utf-8")
            return why

        return asked

    Seal.spend = watched(Seal.spend)  # type: ignore[method-assign]
    Engine.may_send = watched(Engine.may_send)  # type: ignore[method-assign]


class SkewedClock(SystemClock):
    """A machine whose wall clock is wrong and whose monotonic clock is not."""

    def __init__(self, skew_s: float) -> None:
        self._skew_ns = int(skew_s * 1e9)

    def now_ns(self) -> int:
        """Return the wrong time."""
        return time.time_ns() + self._skew_ns


async def wire_sleepy(runtime: Runtime[Config]) -> ExecutorApp:
    """Wire the real executor around the sleepy bus."""
    if os.environ.get("SLEEPY_WITHOUT") == "trigger":
        Recovery.to_trigger = lambda self: []  # type: ignore[method-assign]  # noqa: ARG005
    bus: Any = SleepyBus(runtime.bus, Path(os.environ["SLEEPY_ARM"]))
    clock = SkewedClock(float(os.environ.get("SLEEPY_SKEW_S", "0")))
    return await wire(dataclasses.replace(runtime, bus=bus, clock=clock))


if __name__ == "__main__":
    run_service("executor", Config, wire_sleepy)

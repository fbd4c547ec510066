"""Measure halts on a living Dora: message sent → gate closed, and → nothing rests at the venue.

Each round waits until quotes rest, halts with an empty payload on the core
subject, and resumes in two steps. The gate's time is the executor's own
monotonic clock against the sender's, which one machine shares; that nothing
rests is the venue's own word and clock, asked until it is so.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import uvloop

from bench.floor import Percentiles, percentiles
from bench.world import up
from libs.cli.operate import OperationRefused, confirm_resume, offer_resume, operator_bus
from libs.cli.runfile import RunFile
from libs.common.bus.api import Bus, BusError
from libs.common.env import Env
from libs.common.messages.base import WireDecoder
from libs.common.messages.health import StatusV1
from libs.common.subjects import Subjects

WAIT_S = 60.0
_STATUS = WireDecoder(StatusV1)


@dataclass(frozen=True, slots=True)
class HaltFigures:
    """Milliseconds."""

    gate: Percentiles
    zero_resting: Percentiles
    verified: Percentiles


async def _drive(run: RunFile, rounds: int) -> HaltFigures:
    subjects = Subjects(Env.SIM)
    origin = run.venue_rest_url.split("/trade-api")[0]
    gate_us: list[float] = []
    zero_us: list[float] = []
    verified_us: list[float] = []
    async with operator_bus(run) as bus, httpx.AsyncClient() as client:

        async def status() -> StatusV1:
            answer = await bus.request(subjects.of("svc", "executor", "status"), b"")
            return _STATUS.decode(answer.data)

        async def resting() -> tuple[int, int]:
            answer = await client.get(f"{origin}/sim/truth")
            truth = msgspec.json.decode(answer.content, type=dict[str, Any])
            orders = [order for account in truth["accounts"].values() for order in account["orders"]]
            return len(orders), int(truth["now_ms"])

        async def until(condition: Callable[[StatusV1], bool], what: str) -> StatusV1:
            deadline = time.monotonic() + WAIT_S
            while time.monotonic() < deadline:
                with contextlib.suppress(BusError):
                    seen = await status()
                    if condition(seen):
                        return seen
                await asyncio.sleep(0.02)
            raise TimeoutError(f"{what} within {WAIT_S:.0f} s, was not")

        for _ in range(rounds):
            await until(lambda s: s.state == "running" and s.gauges["resting_orders"] >= 4, "resting quotes")
            sent_ns, sent_mono_ns = time.time_ns(), time.monotonic_ns()
            await bus.publish(subjects.of("ctl.halt", "operator"), b"")
            count, now_ms = await resting()
            while count:
                count, now_ms = await resting()
            zero_us.append(max(0, now_ms * 1_000_000 - sent_ns) / 1_000)
            seen = await until(lambda s: s.state == "halted" and s.gauges["halt_verified"] == 1, "verified")
            gate_us.append((seen.gauges["halt_heard_mono_ns"] - sent_mono_ns) / 1_000)
            verified_us.append(seen.gauges["halt_verified_us"])
            await _resume(bus, subjects)
    return HaltFigures(percentiles(gate_us), percentiles(zero_us), percentiles(verified_us))


async def _resume(bus: Bus, subjects: Subjects) -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            offer = await offer_resume(bus, subjects, "bench", "bench")
            await confirm_resume(bus, subjects, offer, "bench", "bench")
        except (OperationRefused, BusError):
            await asyncio.sleep(0.2)  # a trigger is still red, or riskguard has not seen the halt yet
        else:
            return
    raise TimeoutError(f"a resume within {WAIT_S:.0f} s, was not")


def measure(rounds: int = 20) -> HaltFigures:
    """Start a Dora, halt it so many times, and end it."""
    with up("--seed", "1") as run:
        return uvloop.run(_drive(run, rounds))


def main() -> None:
    """Print the figures."""
    figures = measure()
    print(
        f"halt: gate closed p50 {figures.gate.p50_us / 1000:.2f} ms, "
        f"p99 {figures.gate.p99_us / 1000:.2f} ms; "
        f"nothing resting p50 {figures.zero_resting.p50_us / 1000:.1f} ms, "
        f"p99 {figures.zero_resting.p99_us / 1000:.1f} ms; "
        f"verified p99 {figures.verified.p99_us / 1000:.1f} ms; {figures.gate.samples} halts"
    )


if __name__ == "__main__":
    main()

"""Measure halts by the thousand: `make bench-halt`, or `make bench-halt HALTS=20` for a look.

Five thousand orders on three shards, 50 to 300 ms to the venue and back, reads that lag by
0.4 s; idle, at 3,000 messages a second, with a batch of creates under way, with a third of
all requests refused with 429, and with one shard answering 503. The exit code is 1 if a
bound is missed. Figures go to ``var/bench-halt.json``.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import uvloop

from bench.halt_play import Players
from bench.halt_rig import Rig, a_folder, executor, venue_and_bus
from bench.halt_rounds import LOAD_PER_S, Round, Rounds, Scenario
from libs.common.bus.nats import NatsBus
from libs.common.bus.streams import create_streams
from libs.common.env import Env
from libs.common.subjects import Subjects

OUT: Final = Path("var") / "bench-halt.json"
PER_WORLD: Final = 250
"""Halts before all processes start anew: nothing may come from a journal grown by thousands of epochs."""
_IDLE_GATE_MS: Final = 5.0
_GATE_MS: Final = 20.0
_LOAD_SHARE: Final = 0.95
BOUNDS_MS: Final = {"last_create": 50.0, "empty": 1_000.0, "verified": 1_500.0}


def bounds(scenario: Scenario) -> dict[str, float]:
    """Return the 99th percentiles that must hold, milliseconds."""
    return {"gate": _IDLE_GATE_MS if scenario is Scenario.IDLE else _GATE_MS, **BOUNDS_MS}


async def _world(scenario: Scenario, count: int, seed: int, folder: Path, rig: Rig) -> list[Round]:
    bus = await NatsBus.connect(rig.nats_url, name="bench", instance=str(seed))
    try:
        players = Players(rig, bus, Subjects(Env.SIM))
        await players.listen()
        await rig.list_markets()
        rounds: list[Round] = []
        with executor(folder, rig.nats_url, rig.venue):
            async with asyncio.TaskGroup() as tasks:
                background = [tasks.create_task(players.prove()), tasks.create_task(players.load())]
                # Born halted, and recovered: from here on every round begins alike.
                await players.until(lambda seen: seen.is_ready, "an executor that has recovered")
                performed = Rounds(rig, players, random.Random(seed))
                for _ in range(count):
                    rounds.append(await performed.one(scenario))
                    _show(scenario, len(rounds), count)
                for task in background:
                    task.cancel()
        return rounds
    finally:
        await bus.drain()


async def _worlds(scenario: Scenario, halts: int) -> list[Round]:
    found: list[Round] = []
    while len(found) < halts:
        with a_folder() as folder, venue_and_bus(folder) as (nats_url, venue):
            await create_streams(nats_url, Env.SIM)
            async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
                rig = Rig(nats_url, venue, client, folder)
                found += await _world(scenario, min(PER_WORLD, halts - len(found)), len(found), folder, rig)
    return found


def figures(scenario: Scenario, rounds: Sequence[Round]) -> dict[str, Any]:
    """Return percentiles in milliseconds, and which bounds are missed."""
    told: dict[str, Any] = {"halts": len(rounds)}
    missed = []
    for name in _COLUMNS:
        values = sorted(getattr(one, name) for one in rounds)
        last = len(values) - 1
        told[name] = {
            "p50": round(values[round(last * 0.5)], 2),
            "p99": round(values[round(last * 0.99)], 2),
            "max": round(values[-1], 2),
        }
    for name, most in bounds(scenario).items():
        if told[name]["p99"] > most:
            missed.append(f"{name} p99 {told[name]['p99']} ms, at most {most} ms")
    if scenario is Scenario.LOAD:
        told["messages_per_s"] = round(sorted(one.rate for one in rounds)[len(rounds) // 2])
        if told["messages_per_s"] < _LOAD_SHARE * LOAD_PER_S:
            missed.append(
                f"load {told['messages_per_s']} messages/s, at least {_LOAD_SHARE:.0%} of {LOAD_PER_S}"
            )
    told["missed"] = missed
    return told


def measure(halts: int, scenarios: Sequence[Scenario] = tuple(Scenario)) -> dict[str, dict[str, Any]]:
    """Return the figures of each scenario; the sick shard's takes a tenth of the halts."""
    found = {}
    for scenario in scenarios:
        count = max(min(halts, 5), halts // 10) if scenario is Scenario.SICK else halts
        found[scenario.value] = figures(scenario, uvloop.run(_worlds(scenario, count)))
        print(_row(scenario.value, found[scenario.value]), flush=True)
    return found


def main() -> int:
    """Measure, print, write; return 1 if a bound is missed."""
    halts = int(os.environ.get("HALTS", "") or "1000")
    chosen = [Scenario(name) for name in os.environ.get("SCENARIOS", "").split(",") if name]
    began_s = time.monotonic()
    print(_HEAD, flush=True)
    found = measure(halts, chosen or tuple(Scenario))
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    missed = [f"{name}: {text}" for name, told in found.items() for text in told["missed"]]
    for text in missed:
        print(f"missed: {text}")
    verdict = "bounds missed" if missed else "all bounds met"
    print(f"written: {OUT}, {time.monotonic() - began_s:.0f} s, {verdict}")
    return 1 if missed else 0


_COLUMNS: Final = ("gate", "last_create", "empty", "groups", "verified", "cycle")
_HEAD: Final = f"{'p50 / p99, ms':14} {'n':>5} " + " ".join(f"{name:>18}" for name in _COLUMNS)


def _row(name: str, told: dict[str, Any]) -> str:
    cells = [f"{told[column]['p50']:.1f} / {told[column]['p99']:.1f}" for column in _COLUMNS]
    return f"{name:14} {told['halts']:>5} " + " ".join(f"{cell:>18}" for cell in cells)


def _show(scenario: Scenario, done: int, count: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{scenario.value} {done}/{count} ")


if __name__ == "__main__":
    sys.exit(main())

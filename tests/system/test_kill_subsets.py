"""Kill -9 every subset of the processes: what rests at the venue is gone within the bound of that subset.

Nobody restarts anything: what was killed stays dead until the venue itself has said, by its own
clock, that nothing of ours rests. Bounds follow from the configuration; each is the soonest
of what is still alive to act, and none lies above the lifetime that every order carries.

* Executor alive: a target that nobody renews expires; a permit that nobody renews ages out and the
  closed gate withdraws; without a bus its own echo is old.
* Executor dead, riskguard alive: three seconds of silence, then the emergency lane.
* Both dead: the expiry that the orders carry at the venue.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from tests.support.kill_world import NATS, KillWorld, kill_world

pytestmark = [pytest.mark.system, pytest.mark.timeout(1_500)]

PROCESSES: Final = ("executor", "riskguard", "reconciler", "strategy", "marketdata", NATS)
WORLDS: Final = 3
"""Side by side: most of the time is waiting for orders to expire."""

ORDER_LIFE_S: Final = 30.0
"""The shortest that the executor's configuration allows."""
_PERMIT_S: Final = 2.0
_ECHO_S: Final = 1.5
_CLOSED_CANCEL_S: Final = 5.0
_TARGET_LIFE_S: Final = 3.0
_SILENCE_S: Final = 3.0
_ACT_S: Final = 1.0
"""To notice and to cancel."""
_EXPIRY_S: Final = 1.0
"""The venue takes ``expiration_time`` in whole seconds."""

Subset = frozenset[str]


def subsets() -> list[Subset]:
    """Return every subset that is not empty."""
    sizes = range(1, len(PROCESSES) + 1)
    return [frozenset(c) for size in sizes for c in itertools.combinations(PROCESSES, size)]


def bound_s(dead: Subset) -> tuple[float, str]:
    """Return how long orders may rest after these died, and who withdraws them."""
    ways = [(ORDER_LIFE_S + _EXPIRY_S, "order expiry")]
    is_deaf = NATS in dead
    if "executor" not in dead:
        if is_deaf or dead & {"strategy", "marketdata"}:
            ways.append((_TARGET_LIFE_S + _ACT_S, "target expiry"))
        if is_deaf:
            ways.append((_ECHO_S + _CLOSED_CANCEL_S + _ACT_S, "own echo"))
        if is_deaf or dead & {"riskguard", "reconciler"}:
            ways.append((_PERMIT_S + _CLOSED_CANCEL_S + _ACT_S, "permit age"))
    if "riskguard" not in dead and (is_deaf or "executor" in dead):
        ways.append((_SILENCE_S + _ACT_S, "emergency lane"))
    return min(ways)


def shares(all_of_them: Iterable[Subset], count: int) -> list[list[Subset]]:
    """Deal the subsets to worlds so that each has its part of the long waits."""
    dealt: list[list[Subset]] = [[] for _ in range(count)]
    for number, subset in enumerate(sorted(all_of_them, key=lambda s: (-bound_s(s)[0], sorted(s)))):
        dealt[number % count].append(subset)
    return dealt


async def _measure(world: KillWorld, dead: Subset) -> float:
    await world.until_quoting()
    killed_ns = await world.now_ns()
    world.kill(dead)
    # Longer than any bound: a miss is a number in the table, not the end of the run.
    took_s = await world.empty_after_s(killed_ns, ORDER_LIFE_S + 30)
    alive = {name for name in PROCESSES if name != NATS and world.services[name].is_alive}
    assert not alive & dead, f"{sorted(dead)} stay dead, alive were {sorted(alive)}"
    return took_s


async def _live(folder: Path, mine: list[Subset], took_s: dict[Subset, float]) -> None:
    life = {"executor__PLANNING__ORDER_LIFE_S": str(int(ORDER_LIFE_S))}
    async with kill_world(folder, **life) as world:
        for dead in mine:
            took_s[dead] = await _measure(world, dead)


async def _run(folder: Path) -> dict[Subset, float]:
    took_s: dict[Subset, float] = {}
    async with asyncio.TaskGroup() as group:
        for number, mine in enumerate(shares(subsets(), WORLDS)):
            group.create_task(_live(folder / f"world-{number}", mine, took_s))
    return took_s


def table(took_s: dict[Subset, float]) -> list[str]:
    """Return one line a subset."""
    lines = [f"{'killed':62} {'empty s':>8} {'bound s':>8}  by"]
    for dead in subsets():
        most_s, who = bound_s(dead)
        names = " ".join(name for name in PROCESSES if name in dead)
        mark = "" if took_s[dead] <= most_s else "  MISSED"
        lines.append(f"{names:62} {took_s[dead]:8.2f} {most_s:8.1f}  {who}{mark}")
    return lines


def test_there_are_63_subsets_and_no_bound_above_order_expiry() -> None:
    assert len(subsets()) == 2 ** len(PROCESSES) - 1
    assert max(bound_s(dead)[0] for dead in subsets()) == ORDER_LIFE_S + _EXPIRY_S
    assert sum(map(len, shares(subsets(), WORLDS))) == len(subsets())


async def test_whatever_is_killed_nothing_rests_longer_than_its_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    took_s = await _run(tmp_path)

    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(table(took_s)) + "\n")
    missed = [line for line in table(took_s) if line.endswith("MISSED")]
    assert not missed, "\n".join(missed)

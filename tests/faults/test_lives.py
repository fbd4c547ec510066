"""Single lives in the world of the crash exploration that an exploration once found wanting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.bus import memory
from services.executor.shell import service
from services.executor.shell.service import ExecutorApp
from services.simexchange.shell.auth import generate_key
from tests.faults.bus import ProcessBus
from tests.faults.exchange import MS
from tests.faults.machine import KEY_ID
from tests.faults.process import Act, Decide, Kind, Point
from tests.faults.world import Mutate, World

Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setattr(service, "run_feed", getattr(service, "run_feed"))  # noqa: B009 - put back afterwards
    monkeypatch.setattr(memory, "matches", getattr(memory, "matches"))  # noqa: B009 - the same
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(generate_key(KEY_ID).private_pem)

    made: list[World] = []

    def world(decide: Decide, mutate: Mutate = lambda _app, _bus: None) -> World:
        made.append(World(decide, key_file, mutate=mutate))
        return made[-1]

    yield world
    for one in made:
        one.loop.dispose()


def at(after_ms: float, act: Act, *, kind: Kind | None = None) -> Decide:
    """Do something once, at the first point of the first life that is so late (and of this kind)."""
    done: list[Point] = []

    def decide(point: Point) -> Act:
        if point.life != 1 or point.at_ns < after_ms * MS or done or kind not in (None, point.kind):
            return Act.GO
        done.append(point)
        return act

    return decide


def test_the_day_ends_in_peace_where_nothing_happens(make: Make) -> None:
    world = make(lambda _: Act.GO)

    assert world.run() == []
    assert len(world.lives) == 1
    assert len(world.exchange.venue.accounts["main"].fills) >= 2


@pytest.mark.parametrize("after_ms", [365, 400, 480, 560])
def test_a_standby_that_hears_a_halt_takes_the_dead_leaders_orders_for_nobodys(
    make: Make, after_ms: float
) -> None:
    """It once adopted what its ladder's listing showed: orders without a decision, and so their fills."""
    world = make(at(after_ms, Act.CRASH))

    assert world.run() == []
    assert len(world.lives) == 2


def test_a_planning_pass_that_raises_in_a_callback_ends_the_process(make: Make) -> None:
    """A callback's error is only logged by the event loop: the market would stay unplanned in silence."""

    def break_first(app: ExecutorApp, _: ProcessBus) -> None:
        anything: Any = app
        passed = anything._run_pass

        def run_pass() -> None:
            if asyncio.current_task() is None and app._engine.account.orders.markets():
                raise AssertionError("planned")
            passed()

        anything._run_pass = run_pass

    world = make(lambda _: Act.GO, break_first)

    assert world.run() == ["life 1 ended: AssertionError('planned')"]


@pytest.mark.parametrize("act", [Act.SUSPEND, Act.SLEEP])
def test_a_leader_that_sleeps_through_a_takeover_leaves_its_successors_fills_alone(
    make: Make, act: Act
) -> None:
    """It once adopted the successor's orders and journalled their fills without a decision."""
    world = make(at(250, act))

    assert world.run() == []
    assert len(world.lives) == 2

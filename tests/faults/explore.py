"""End the executor at every point of its day, by forking the world there.

    python -m tests.faults.explore                     everything, with counts
    python -m tests.faults.explore --at crash:1.137    one run again, with what the executor logged
    python -m tests.faults.explore --mutant no-fence   until the mutant is caught

The day is played once; at each point the process forks, and the child does to the
executor what the plan says (`crash`, `suspend`, …), plays on to rest and audits. A plan
is written as ``act:life.number``, joined by ``+``: it names the same moment in every
run, because nothing in the world is left to chance that the seed does not decide
(string hashes included, hence PYTHONHASHSEED).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.simexchange.shell.auth import generate_key
from tests.faults.machine import KEY_ID
from tests.faults.mutants import Mutant, mutate
from tests.faults.process import Act, Kind, Point
from tests.faults.world import World

CHILD_S: Final = 60
SHOWN_MAX: Final = 20
OTHER_SEEDS: Final = (2, 3, 4)
_AT_EFFECTS: Final = (Act.CRASH, Act.SUSPEND, Act.LOSE_REQUEST, Act.LOSE_ANSWER)


@dataclass(frozen=True)
class Step:
    """Something done to the executor at a point."""

    act: Act
    life: int
    number: int

    def __str__(self) -> str:
        return f"{self.act}:{self.life}.{self.number}"


Plan = tuple[Step, ...]
Policy = Callable[[Plan, Point], tuple[Act, ...]]
"""What to do at a point, given what was done before: one child for each."""


def plan_of(text: str) -> Plan:
    """Return the plan that was written."""
    steps = []
    for part in text.split("+"):
        act, _, place = part.partition(":")
        life, _, number = place.partition(".")
        steps.append(Step(Act(act), int(life), int(number)))
    return tuple(steps)


def text_of(plan: Plan) -> str:
    """Return the plan as it is written."""
    return "+".join(str(step) for step in plan)


@dataclass
class Outcome:
    """What became of one run."""

    plan: str
    breaches: list[str]
    what: str = ""


@dataclass
class Explorer:
    """Forks the world; ``jobs`` children at a time."""

    seed: int
    mutant: Mutant
    key_file: Path
    jobs: int = 2
    report: str = ""
    """Where broken plans are written as they are found."""
    every: int = 1
    """Only points whose number this divides; for a first look."""
    outcomes: list[Outcome] = field(default_factory=list)
    points: Counter[Kind] = field(default_factory=Counter)

    def explore(self, policy: Policy, depth: int, *, until_breach: bool = False) -> list[Outcome]:
        """Run every plan of this length that the policy names; return how each ended."""
        with tempfile.TemporaryFile() as results:
            walk = _Walk(self, policy, depth, results.fileno(), until_breach=until_breach)
            self.points.clear()
            sys.stdout.flush()
            try:
                world = World(walk.decide, self.key_file, self.seed, self._mutate)
                world.auditor.judges_journal = self.mutant is Mutant.NONE
                walk.world = world
                breaches = world.run()
            except Exception:
                if not walk.plan:
                    raise
                breaches = [traceback.format_exc()]
            if walk.plan:
                walk.finish(breaches)
            walk.wait_all()
            if breaches:
                walk.outcomes.append(Outcome("", breaches))
            results.seek(0)
            for line in results.read().decode().splitlines():
                walk.outcomes.append(Outcome(**json.loads(line)))
        self.outcomes.extend(walk.outcomes)
        return walk.outcomes

    def _mutate(self, app: object, bus: object) -> None:
        mutate(self.mutant, app, bus)  # type: ignore[arg-type]


class _Walk:
    """One exploration, in the parent and in every child."""

    def __init__(
        self, explorer: Explorer, policy: Policy, depth: int, results: int, *, until_breach: bool
    ) -> None:
        self._explorer = explorer
        self._policy = policy
        self._depth = depth
        self._results = results
        self._until_breach = until_breach
        self._is_caught = False
        self._children: dict[int, str] = {}
        self._size = 0
        self.world: World
        self.plan: Plan = ()
        self.what = ""
        self.outcomes: list[Outcome] = []

    def decide(self, point: Point) -> Act:
        """Fork what the policy wants of this point, and go on."""
        if not self.plan:
            self._explorer.points[point.kind] += 1
        if len(self.plan) >= self._depth or self._is_caught or point.number % self._explorer.every:
            return Act.GO
        for act in self._policy(self.plan, point):
            if act is Act.WAKE and not self.world.has_sleeper():
                continue
            if self._fork(Step(act, point.life, point.number), point):
                return act
        return Act.GO

    def finish(self, breaches: list[str]) -> None:
        """End a child: report it, unless it only led to others."""
        self.wait_all()
        if len(self.plan) == self._depth:
            line = json.dumps({"plan": text_of(self.plan), "breaches": breaches[:5], "what": self.what})
            os.write(self._results, line.encode() + b"\n")
            if breaches and self._explorer.report:
                with Path(self._explorer.report).open("a", encoding="utf-8") as report:
                    report.write(f"{text_of(self.plan)}\t{self.what}\t{'; '.join(breaches)}\n")
        os._exit(0)

    def wait_all(self) -> None:
        """Wait for every child."""
        while self._children:
            self._wait_one()

    def _fork(self, step: Step, point: Point) -> bool:
        most = 1 if self.plan else self._explorer.jobs
        while len(self._children) >= most:
            self._wait_one()
        if self._is_caught:
            return False
        plan = (*self.plan, step)
        pid = os.fork()
        if pid:
            self._children[pid] = text_of(plan)
            return False
        # The running loop is remembered for one process id.
        asyncio._set_running_loop(self.world.loop)
        self._children = {}
        self.plan = plan
        self.what = f"{self.what} {step} {point.kind} {point.what} at {point.at_ns / 1e6:.2f} ms".strip()
        signal.alarm(CHILD_S if len(plan) == self._depth else 0)
        return True

    def _wait_one(self) -> None:
        pid, status = os.wait()
        plan = self._children.pop(pid)
        if status:
            line = json.dumps({"plan": plan, "breaches": [f"the run itself ended with {status}"], "what": ""})
            os.write(self._results, line.encode() + b"\n")
        if self._until_breach and os.fstat(self._results).st_size != self._size:
            self._size = os.fstat(self._results).st_size
            data = os.pread(self._results, self._size, 0)
            self._is_caught = any(json.loads(line)["breaches"] for line in data.splitlines())


# What is explored ---------------------------------------------------------------------------------------


def singles(plan: Plan, point: Point) -> tuple[Act, ...]:
    """End or pause the first life at each of its points; cancel and stop it at each of its awaits.

    And lose each request of its, or its answer, without any end.
    """
    if plan or point.life != 1:
        return ()
    acts: list[Act] = [Act.CRASH, Act.SUSPEND]
    if point.kind is Kind.EFFECT:
        acts.append(Act.SLEEP)
        if point.what != "write latch":
            acts += [Act.LOSE_REQUEST, Act.LOSE_ANSWER]
    if point.kind is Kind.AWAIT:
        acts += [Act.CANCEL, Act.STOP]
    return tuple(acts)


def effects(plan: Plan, point: Point) -> tuple[Act, ...]:
    """Crash and suspend the first life before each effect, and lose it or its answer; for other seeds."""
    if plan or point.life != 1 or point.kind is not Kind.EFFECT:
        return ()
    return (Act.CRASH, Act.SUSPEND) if point.what == "write latch" else _AT_EFFECTS


def crash_pairs(plan: Plan, point: Point) -> tuple[Act, ...]:
    """Crash the first life before each effect, and the second before each of its own."""
    is_next = point.life == len(plan) + 1
    return (Act.CRASH,) if is_next and point.kind is Kind.EFFECT else ()


def wake_pairs(plan: Plan, point: Point) -> tuple[Act, ...]:
    """Suspend the first life before each request or append; wake it before each of its successor's."""
    if point.kind is not Kind.EFFECT or point.life != len(plan) + 1:
        return ()
    return (Act.SUSPEND,) if not plan else (Act.WAKE,)


def suspends(plan: Plan, point: Point) -> tuple[Act, ...]:
    """Suspend the first life before each effect; for mutants."""
    return (Act.SUSPEND,) if not plan and point.life == 1 and point.kind is Kind.EFFECT else ()


def again(explorer: Explorer, text: str) -> list[str]:
    """Run one plan, telling what the executor logs and where it stands."""
    wanted = {(step.life, step.number): step.act for step in plan_of(text)} if text != "none" else {}
    world: World

    def decide(point: Point) -> Act:
        act = wanted.get((point.life, point.number), Act.GO)
        if act is not Act.GO or point.kind is not Kind.AWAIT:
            mark = f" <== {act}" if act is not Act.GO else ""
            print(
                f"{point.at_ns / 1e6:9.2f} {point.life}.{point.number:<5} {point.kind:8} {point.what}{mark}"
            )
        return act

    def tell(event: str, message: str, fields: dict[str, object]) -> None:
        print(f"{world.loop.now_ns / 1e6:9.2f} {event} {message} {fields}"[:300])

    world = World(decide, explorer.key_file, explorer.seed, explorer._mutate, tell)
    breaches = list(world.run())
    world.loop.dispose()
    return breaches


def main() -> int:
    """Explore and count; return 1 if anything was broken (with a mutant: if nothing was)."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.explore", description=__doc__)
    parser.add_argument("--at", default="", help="one plan, for example crash:1.137+crash:2.42")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", type=Mutant, default=Mutant.NONE, choices=list(Mutant))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--every", type=int, default=1, help="try only each so-manieth point")
    parser.add_argument("--report", default="", help="write every broken plan to this file")
    parser.add_argument(
        "--only", default="", help="one exploration: singles, effects, crash_pairs or wake_pairs"
    )
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets of strings is part of what a number names.
        os.execve(  # noqa: S606 - ourselves
            sys.executable,
            [sys.executable, "-m", "tests.faults.explore", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    gc.disable()
    with tempfile.TemporaryDirectory() as folder:
        key_file = Path(folder) / "key.pem"
        key_file.write_bytes(generate_key(KEY_ID).private_pem)
        explorer = Explorer(
            options.seed, options.mutant, key_file, options.jobs, options.report, options.every
        )
        if options.at:
            breaches = again(explorer, options.at)
            print("\n".join(breaches) or "nothing broken")
            return 1 if breaches else 0
        # What is imported and made once is shared by all children.
        World(lambda _: Act.GO, key_file, options.seed).run()
        gc.collect()
        gc.freeze()
        if options.mutant is not Mutant.NONE:
            return _catch(explorer)
        return _explore(explorer, options.only)


def _explore(explorer: Explorer, only: str) -> int:
    began_s = time.monotonic()
    counted: Counter[str] = Counter()
    broken: list[tuple[int, Outcome]] = []
    own = explorer.seed
    for policy, depth, seed in (
        (singles, 1, own),
        *((effects, 1, seed) for seed in OTHER_SEEDS if seed != own),
        (crash_pairs, 2, own),
        (wake_pairs, 2, own),
    ):
        name = policy.__name__
        if only and name != only:
            continue
        explorer.seed = seed
        outcomes = explorer.explore(policy, depth)
        if depth == 1:
            points = ", ".join(f"{count:,} {kind}" for kind, count in explorer.points.items())
            print(f"seed {seed}: points of the first life: {points}")
        acts = Counter(" then ".join(step.act for step in plan_of(o.plan)) for o in outcomes if o.plan)
        failed = [outcome for outcome in outcomes if outcome.breaches]
        told = ", ".join(f"{act} {count:,}" for act, count in sorted(acts.items()))
        took_s = time.monotonic() - began_s
        print(f"seed {seed}: {name}: {told}; {len(failed)} broken; {took_s:.0f} s", flush=True)
        counted["pairs" if depth == 2 else "singles"] += len(outcomes) - len(failed)
        broken += [(seed, outcome) for outcome in failed]
    for seed, outcome in broken[:SHOWN_MAX]:
        print(f"BROKEN {outcome.what}: {'; '.join(outcome.breaches)}")
        print(f"  again: python -m tests.faults.explore --seed {seed} --at {outcome.plan or 'none'}")
    passed = f"{counted['singles']:,} singles and {counted['pairs']:,} pairs passed"
    print(f"crash points: {passed}, {len(broken)} broken")
    return 1 if broken else 0


def _catch(explorer: Explorer) -> int:
    outcomes = explorer.explore(suspends, 1, until_breach=True)
    caught = next((outcome for outcome in outcomes if outcome.breaches), None)
    if caught is None or not caught.breaches[0].startswith("A2"):
        print(f"mutant {explorer.mutant}: not caught in {len(outcomes)} runs; {caught}")
        return 1
    print(f"mutant {explorer.mutant}: caught by {caught.what} (run {len(outcomes)}): {caught.breaches[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

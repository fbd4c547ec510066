"""Only what was approved can leave: envelopes are mutated, aged, replayed and forged by the thousand."""

from __future__ import annotations

import ast
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from libs.common.domain.side import Side
from services.executor.core.requests import AmendRequest, CreateRequest
from services.executor.core.seal import Approved, Seal
from tests.support.executor_builders import START_MS

ROOT = Path(__file__).resolve().parents[4]
KEY = b"k" * 32
EPOCH, NOW_NS, EXPIRES_NS = 7, 1_000, 2_000
CASES = 12_000
"""Envelopes that must all be refused."""


def a_create(number: int = 0) -> CreateRequest:
    return CreateRequest("M-1", 0, f"dora-{number}", Side.BID, 4_800, 500, "group", START_MS)


def an_amend(number: int = 0) -> AmendRequest:
    return AmendRequest("venue-1", f"dora-{number}", "M-1", 0, Side.BID, 4_800, 500, START_MS)


def _other(value: object, chance: random.Random) -> object:
    """Return a value of the same type that is another one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, Side):
        return value.opposite
    if isinstance(value, int):
        return value + chance.choice((-1, 1)) * (1 << chance.randrange(16))
    if isinstance(value, str):
        at = chance.randrange(len(value) + 1)
        return value[:at] + chance.choice("abc019 -") + value[at:]
    assert isinstance(value, bytes), value
    at = chance.randrange(len(value))
    return value[:at] + bytes([value[at] ^ 1 << chance.randrange(8)]) + value[at + 1 :]


def _mutated(good: Approved, chance: random.Random) -> Approved:
    name = chance.choice(("request", "epoch", "expires_ns", "limits", "mac"))
    if name != "request":
        changed: dict[str, Any] = {name: _other(getattr(good, name), chance)}
        return replace(good, **changed)
    field = chance.choice(fields(good.request)).name
    change: dict[str, Any] = {field: _other(getattr(good.request, field), chance)}
    return replace(good, request=replace(good.request, **change))


def _forged(good: Approved, chance: random.Random) -> Approved:
    return replace(good, mac=chance.randbytes(chance.choice((0, 16, 32, 64))))


def _foreign(good: Approved, chance: random.Random) -> Approved:
    return Seal(chance.randbytes(32)).approve(good.request, good.epoch, good.expires_ns, good.limits)


def _swapped(good: Approved, chance: random.Random) -> Approved:
    """Take the MAC of another order that was approved too."""
    return replace(good, mac=Seal(KEY).approve(a_create(chance.randrange(1, 99)), EPOCH, EXPIRES_NS).mac)


def _other_kind(good: Approved, chance: random.Random) -> Approved:
    """An amend under a create's MAC, or the other way round."""
    del chance
    return replace(good, request=an_amend() if isinstance(good.request, CreateRequest) else a_create())


ATTACKS: tuple[Callable[[Approved, random.Random], Approved], ...] = (
    _mutated,
    _mutated,
    _mutated,
    _forged,
    _foreign,
    _swapped,
    _other_kind,
)


def test_none_of_thousands_of_broken_stale_replayed_or_foreign_envelopes_is_accepted() -> None:
    chance, told = random.Random(4_31), Counter[str]()
    for number in range(CASES):
        seal = Seal(KEY)
        request = a_create() if chance.random() < 0.5 else an_amend()
        good = seal.approve(request, EPOCH, EXPIRES_NS, chance.randrange(3))
        kind = number % 10
        if kind < 7:
            why = seal.spend(ATTACKS[kind](good, chance), EPOCH, NOW_NS)
        elif kind == 7:
            why = seal.spend(good, EPOCH + chance.choice((-1, 1, 2, 100)), NOW_NS)
        elif kind == 8:
            why = seal.spend(good, EPOCH, EXPIRES_NS + chance.randrange(1, 1 << 40))
        else:
            assert seal.spend(good, EPOCH, NOW_NS) is None
            why = seal.spend(replace(good), EPOCH, NOW_NS + chance.randrange(1_000))
        assert why is not None, (kind, good)
        told[why] += 1
        if kind != 9:
            # What was refused has not used up what is genuine.
            assert seal.spend(good, EPOCH, NOW_NS) is None
    assert told.total() == CASES
    assert set(told) == {"seal_broken", "seal_other_epoch", "seal_expired", "seal_spent"}


def test_spent_approvals_are_remembered_until_they_expire_and_no_longer() -> None:
    seal = Seal(KEY)
    late = seal.approve(a_create(-1), EPOCH, 10 * EXPIRES_NS)
    assert seal.spend(late, EPOCH, NOW_NS) is None
    for number in range(10_001):
        assert seal.spend(seal.approve(a_create(number), EPOCH, EXPIRES_NS), EPOCH, NOW_NS) is None
    # So many are looked through once their time is over; what may still be replayed stays known.
    assert seal.spend(seal.approve(a_create(-2), EPOCH, 10 * EXPIRES_NS), EPOCH, EXPIRES_NS + 1) is None
    assert len(seal._spent) == 2
    assert seal.spend(late, EPOCH, EXPIRES_NS + 1) == "seal_spent"


def test_sealing_and_spending_an_order_costs_less_than_twenty_microseconds() -> None:
    """The fastest of many rounds: what the work costs, not what the neighbours on the machine do."""
    seal, round_size = Seal(KEY), 200
    best_ns = 1 << 62
    for turn in range(30):
        requests = [a_create(turn * round_size + number) for number in range(round_size)]
        began_ns = time.perf_counter_ns()
        for request in requests:
            seal.spend(seal.approve(request, EPOCH, EXPIRES_NS), EPOCH, NOW_NS)
        best_ns = min(best_ns, time.perf_counter_ns() - began_ns)
    cost_us = best_ns / round_size / 1_000
    print(f"seal: {cost_us:.1f} us an order to approve and to spend")  # noqa: T201 - a measured figure
    # Under a tracer (coverage) every line costs several times its own work.
    assert cost_us < 20 or sys.gettrace() is not None


@cache
def _code() -> tuple[list[tuple[str, ast.Call]], list[tuple[str, ast.ImportFrom]]]:
    """Return every call and every import of our modules, each with its path."""
    calls: list[tuple[str, ast.Call]] = []
    imports: list[tuple[str, ast.ImportFrom]] = []
    for folder in ("libs", "services", "bench"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    calls.append((name, node))
                elif isinstance(node, ast.ImportFrom):
                    imports.append((name, node))
    return calls, imports


def _callers(*names: str) -> set[str]:
    """Return the modules that call something whose written name ends so."""
    last = {name.rpartition(".")[2] for name in names}
    return {
        path
        for path, call in _code()[0]
        if (getattr(call.func, "attr", None) or getattr(call.func, "id", None)) in last
        and f".{ast.unparse(call.func)}".endswith(names)
    }


def _importers(module: str, name: str) -> set[str]:
    return {
        path
        for path, node in _code()[1]
        if node.module == module and name in {alias.name for alias in node.names}
    }


def test_only_the_approver_seals_and_only_the_sender_spends() -> None:
    # A tape's replay and the budget's day play the sender themselves, towards a venue in their own process.
    replay = {"bench/replay_world.py", "bench/budget_world.py"}
    assert _callers(".seal.approve", ".Seal.approve", "._seal.approve") == {
        "services/executor/core/approval.py"
    }
    assert _callers(".seal.spend", ".Seal.spend", "._seal.spend") - replay == {
        "services/executor/shell/sender.py"
    }
    assert _callers(".Approved") == {"services/executor/core/seal.py"}
    assert _callers(".Seal") - replay == {"services/executor/wiring.py"}
    assert _importers("services.executor.core.seal", "Seal") - replay == {
        "services/executor/core/approval.py",
        "services/executor/core/engine.py",
        "services/executor/wiring.py",
    }
    assert _importers("services.executor.core.seal", "_TOKEN") == set()


def test_only_the_executors_shell_names_what_can_create_an_order() -> None:
    importers = _importers("libs.common.kalshi.order_sender", "OrderSender")
    # The bench times the bytes of an order against a server of its own.
    allowed = ("services/executor/shell/", "services/executor/wiring.py", "bench/transport.py")
    assert "services/executor/shell/sender.py" in importers
    assert all(path.startswith(allowed) for path in importers), importers


PLANTS = ("services/strategy/shell", "services/riskguard/shell", "services/executor/core", "libs/cli")


def test_planted_import_of_the_order_sender_breaks_the_import_rules(tmp_path: Path) -> None:
    for name in ("libs", "services", ".importlinter", "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    for plant in PLANTS:
        (tmp_path / plant / "planted.py").write_text(
            "from libs.common.kalshi.order_sender import OrderSender as OrderSender\n"
        )
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--contract", "sender"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout
    for plant in PLANTS:
        assert f"{plant.replace('/', '.')}.planted" in done.stdout

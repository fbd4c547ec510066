"""Unplug a control and run its unit file: a test that passes all the same proves nothing.

A server process imports everything once and forks for each run, so that a run costs what its
tests cost: ``python -m tests.controls.mutation`` reads lines ``<kind> <name> <unit file>`` and
answers each with one line of JSON.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from libs.cli.places import ROOT
from libs.common.risk.limits import RiskLimits
from libs.common.risk.registry import rules_of
from services.riskguard.core.triggers.registry import TRIGGERS

TRIGGER: Final = "trigger"
RULE: Final = "rule"


@dataclass(frozen=True)
class Verdict:
    """What the unit file said.

    Attributes:
        passes: With the control in place.
        fails_unplugged: Without it.
        text: The end of what pytest printed where either is not so.
    """

    passes: bool
    fails_unplugged: bool
    text: str


class Mutants:
    """The server process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def verdict(self, kind: str, name: str, unit_file: str) -> Verdict:
        """Run a unit file twice: as it is, and with the control unplugged."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{kind} {name} {unit_file}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"an answer of the mutation server, was its end ({self._process.poll()})"
        return Verdict(**json.loads(line))


@contextlib.contextmanager
def mutants() -> Iterator[Mutants]:
    """Yield a running server."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.controls.mutation"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    try:
        yield Mutants(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()


def unplug(kind: str, name: str) -> None:
    """Let a control find nothing, in this process, for good.

    Triggers and rules that share a class are told apart by their name.
    """
    zero = RiskLimits(**dict.fromkeys(RiskLimits.__struct_fields__, 0))
    pool: Any = TRIGGERS if kind == TRIGGER else rules_of(zero)
    owner = type(next(one for one in pool if one.name == name))
    real = owner.check

    def blind(self: Any, *args: Any, **named: Any) -> Any:
        return None if self.name == name else real(self, *args, **named)

    owner.check = blind


def _run(unit_file: str, unplugged: tuple[str, str] | None) -> tuple[int, str]:
    """Run a unit file in a fork and return pytest's exit code and its last words."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 70
        said = io.StringIO()
        try:
            if unplugged is not None:
                unplug(*unplugged)
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", unit_file]))
        finally:
            os.write(writing, said.getvalue()[-1_500:].encode())
            os.close(writing)
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), text


@functools.cache
def _plain(unit_file: str) -> tuple[int, str]:
    """Run a unit file as it is, once: all rules share theirs."""
    return _run(unit_file, None)


def _verdict(kind: str, name: str, unit_file: str) -> Verdict:
    plain, said = _plain(unit_file)
    broken, said_broken = _run(unit_file, (kind, name))
    # 1 is "tests failed"; anything else is no verdict of a test.
    text = said if plain != 0 else "" if broken == 1 else said_broken
    return Verdict(plain == 0, broken == 1, text)


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        verdict = _verdict(*line.split())
        answers.write(json.dumps(verdict.__dict__) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()

"""The executor is ended, paused, cancelled and stopped at every point of its day, and nothing is lost.

The work is done by `explore.py` in a process of its own, because a point's number holds
for one order of string hashes only. Run `make test-faults-executor` to see the counts.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.faults.mutants import Mutant

_COMMAND = (sys.executable, "-m", "tests.faults.explore")
_ENVIRONMENT = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": "."}


def heard(*arguments: str) -> tuple[int, str]:
    """Run the explorer; return its code and what it said."""
    done = subprocess.run(
        [*_COMMAND, *arguments], env=_ENVIRONMENT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(1_800)
def test_no_point_at_which_the_executor_ends_leaves_an_order_or_a_fill_behind() -> None:
    # What it counts is shown as it comes; what is broken is at the end of it, with how to repeat it.
    done = subprocess.run(_COMMAND, env=_ENVIRONMENT, check=False)

    assert done.returncode == 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", [mutant for mutant in Mutant if mutant is not Mutant.NONE])
def test_without_one_part_of_the_protocol_a_point_is_found_that_breaks_it(mutant: Mutant) -> None:
    code, said = heard("--mutant", mutant)
    sys.stdout.write(f"\n{said}")

    assert code == 0, said
    assert "caught by" in said


def test_the_same_seed_is_the_same_run() -> None:
    assert heard("--at", "crash:1.300") == heard("--at", "crash:1.300")

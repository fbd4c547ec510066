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


def explore(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the explorer and show what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.explore", *arguments],
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    sys.stdout.write(f"\n{done.stdout}")
    return done


@pytest.mark.timeout(900)
def test_no_point_at_which_the_executor_ends_leaves_an_order_or_a_fill_behind() -> None:
    done = explore()

    assert done.returncode == 0, done.stdout[-4_000:]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", [mutant for mutant in Mutant if mutant is not Mutant.NONE])
def test_without_one_part_of_the_protocol_a_point_is_found_that_breaks_it(mutant: Mutant) -> None:
    done = explore("--mutant", mutant)

    assert done.returncode == 0, done.stdout
    assert "caught by" in done.stdout


def test_the_same_seed_is_the_same_run() -> None:
    assert explore("--at", "none").stdout == explore("--at", "none").stdout

"""The rig of `make bench-halt` works: a few halts of each kind, with everything proven but the times.

Times on a machine that does other things at once mean nothing, so none is bounded here. Each
round itself asserts that nothing rests once the executor says so, and that a sick shard is
never counted as done.
"""

from __future__ import annotations

import pytest

from bench.halt_rounds import Scenario
from bench.halts import measure

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


@pytest.mark.parametrize("scenario", list(Scenario))
def test_halts_are_verified_with_five_thousand_orders_on_three_shards(scenario: Scenario) -> None:
    figures = measure(2, [scenario])[scenario.value]

    assert figures["halts"] == 2
    assert figures["gate"]["p50"] > 0
    assert figures["empty"]["max"] < figures["verified"]["max"], "a listing proves what is so already"

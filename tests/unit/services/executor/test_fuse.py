"""The size of an order group: said outright or from a loss budget, refused where it makes no sense."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from libs.common.runtime.config import Venue
from services.executor.config import Config, Fuse, Groups
from services.executor.core.fuse import limit_of_budget_e2
from tests.support.executor_builders import LIMITS

BUDGET: dict[str, Any] = {"loss_budget_e6": 100_000_000, "adverse_move_e4": 500, "sweep_e2": 20_000}
VENUE = Venue(rest_url="http://v", ws_url="ws://v", key_id="k", key_file="f")


def test_limit_is_what_the_budget_leaves_after_one_sweep() -> None:
    # 100 dollars at 5 cents a contract are 2,000 contracts; 200 of them may go in one sweep on top.
    assert limit_of_budget_e2(100_000_000, 500, 20_000) == 180_000
    assert Groups(**BUDGET).limit_of(0) == 180_000


def test_a_shard_may_have_its_own_fuse() -> None:
    groups = msgspec.convert({"limit_e2": 500, "shards": {"2": {"limit_e2": 70}, "3": BUDGET}}, type=Groups)

    assert [groups.limit_of(shard) for shard in (0, 1, 2, 3)] == [500, 500, 70, 180_000]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"limit_e2": 1, **BUDGET},
        {"limit_e2": 1, "sweep_e2": 1},
        {name: value for name, value in BUDGET.items() if name != "sweep_e2"},
        {**BUDGET, "sweep_e2": 200_000},
    ],
)
def test_a_fuse_without_one_clear_size_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Fuse(**fields)


def test_a_sweep_smaller_than_the_largest_order_is_refused() -> None:
    assert LIMITS.order_qty_e2_max == 10_000
    Config(limits=LIMITS, venue=VENUE, groups=Groups(**BUDGET))

    with pytest.raises(ValueError, match="sweep_e2"):
        Config(limits=LIMITS, venue=VENUE, groups=Groups(**BUDGET | {"sweep_e2": 9_999}))
    shards = {"1": Fuse(**BUDGET | {"sweep_e2": 9_999})}
    with pytest.raises(ValueError, match="sweep_e2"):
        Config(limits=LIMITS, venue=VENUE, groups=Groups(limit_e2=1, shards=shards))

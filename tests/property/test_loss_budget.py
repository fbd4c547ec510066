"""The fuse at the venue holds a burst to its loss budget, with the executor alive or dead.

On the simulated exchange's own core: a maker quotes several markets of one shard in one order
group and replaces what was taken at once, as the executor does. The fair value has just left
him by ``adverse_move`` and an informed taker sweeps every level of every market, in pieces or
in one order, again and again. The maker dies at a random moment in every second run; the venue
acts alone either way. Measured is money: every fill against the new fair value.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from libs.common.domain.side import Side
from services.executor.config import Fuse
from services.simexchange.core.order_groups import OrderGroup
from tests.support.venue_core import IOC, MARKET, OTHER_MARKET, Pit

RUNS = 200
MARKETS = (MARKET, OTHER_MARKET, "S-E-O")
TICK_E4 = 100


@dataclass(frozen=True)
class Burst:
    """What one run came to."""

    loss_e6: int
    budget_e6: int
    is_blown: bool
    killed_at: int | None


def burst(seed: int, *, has_fuse: bool) -> Burst:
    chance = random.Random(seed)
    levels, qty_e2 = chance.randint(1, 4), 100 * chance.randint(1, 30)
    adverse_move_e4 = TICK_E4 * (levels + chance.randint(0, 8))
    sweep_e2 = levels * qty_e2
    budget_e6 = adverse_move_e4 * (sweep_e2 + chance.randint(1, 10) * sweep_e2 + chance.randint(0, 999))
    fuse = Fuse(loss_budget_e6=budget_e6, adverse_move_e4=adverse_move_e4, sweep_e2=sweep_e2)
    pit = Pit(cash_e6=10**13)
    pit.list_market("S-E-O")
    group = pit.venue.groups.create("alice", 0, fuse.size_e2() if has_fuse else 100_000_000, pit.now_ns)
    assert isinstance(group, OrderGroup)
    side = chance.choice((Side.BID, Side.ASK))
    touch_e4 = 5_000 + side.opposite.sign * TICK_E4
    # The worst price is the touch; a deeper level is that much nearer to the new fair value.
    fair_e4 = touch_e4 - side.sign * adverse_move_e4
    killed_at = chance.randint(0, 30) if seed % 2 else None

    def quote(market: str) -> None:
        for level in range(levels):
            price_e4 = touch_e4 - side.sign * level * TICK_E4
            resting = [
                o for o in pit.venue.accounts["alice"].resting[market].values() if o.price_e4 == price_e4
            ]
            missing_e2 = qty_e2 - sum(order.remaining_e2 for order in resting)
            if missing_e2 > 0:
                pit.send(
                    "alice", side, price_e4, missing_e2, market=market, order_group_id=group.order_group_id
                )

    for market in MARKETS:
        quote(market)
    for step in range(80):
        market = chance.choice(MARKETS)
        # In pieces, or the whole side of a market with one order: that one overshoots.
        wanted_e2 = chance.choice((100, qty_e2, sweep_e2, 10 * sweep_e2))
        pit.send(
            "bob",
            side.opposite,
            touch_e4 - side.sign * (levels - 1) * TICK_E4,
            wanted_e2,
            market=market,
            tif=IOC,
        )
        if killed_at is None or step < killed_at:
            for one in MARKETS:
                quote(one)
    loss_e6 = sum(
        side.sign * (fill.price_e4 - fair_e4) * fill.qty_e2 for fill in pit.venue.accounts["alice"].fills
    )
    assert pit.venue.residual_e6() == 0
    return Burst(loss_e6, budget_e6, group.is_triggered, killed_at)


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_sweep_never_costs_more_than_the_budget(seed: int) -> None:
    with_fuse = burst(seed, has_fuse=True)

    assert with_fuse.loss_e6 <= with_fuse.budget_e6, with_fuse


def test_without_the_fuse_the_same_sweeps_cost_more() -> None:
    pairs = [(burst(seed, has_fuse=True), burst(seed, has_fuse=False)) for seed in range(0, RUNS, 2)]

    assert all(without.loss_e6 > without.budget_e6 for _, without in pairs)
    assert all(blown.is_blown for blown, _ in pairs)
    # The bound is not loose: some burst uses almost all of its budget.
    assert max(blown.loss_e6 / blown.budget_e6 for blown, _ in pairs) > 0.9

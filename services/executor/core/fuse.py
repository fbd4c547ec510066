"""How large an order group's limit may be so that one burst costs at most the loss budget (frontier 4.2).

The venue counts what matched within a rolling 15 s over all orders of a group and pulls
them when the sum *exceeds* the limit. It never caps a match: one incoming order can take
everything that rests on one side of one market before anything is pulled. So

    matched in the window  <=  limit + sweep      and      loss  <=  matched x adverse move

and the limit is what the budget leaves after one such sweep. The bound holds for one group;
a new one counts from zero, which is why none is made within a window of a blown fuse.
"""

from __future__ import annotations


def limit_of_budget_e2(loss_budget_e6: int, adverse_move_e4: int, sweep_e2: int) -> int:
    """Return the limit in contracts (E2); not positive where the budget does not even pay one sweep.

    Args:
        loss_budget_e6: What one burst on one shard may cost.
        adverse_move_e4: How far the fair value may be from our price when we are taken, per contract.
        sweep_e2: Most that rests on one side of one market at a time.
    """
    assert loss_budget_e6 > 0, loss_budget_e6
    assert adverse_move_e4 > 0, adverse_move_e4
    return loss_budget_e6 // adverse_move_e4 - sweep_e2

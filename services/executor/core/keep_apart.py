"""Let no two orders of ours meet, whichever acts of a plan succeed and in whatever order they arrive.

A create or amend that would meet an order of ours on the other side waits until that
order is proven gone: where the plan takes the order away, the act becomes a create
behind its cancel; where it stays, the act is held back. What one act may meet is judged
against every order as it is, as it was asked to become, and as another act makes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.domain.reasons import Reason
from libs.common.messages.execution import Action
from services.executor.core.orders import OwnOrder
from services.executor.core.plan import Act, Held, Plan

_PLACES = (Action.CREATE, Action.AMEND)


def keep_apart(result: Plan, live: Sequence[OwnOrder]) -> None:
    """Put creates behind the cancels that they need, turn amends into such where needed, hold the rest."""
    places = [act for act in result.acts if act.action in _PLACES]
    if not places:
        return
    by_order = {id(act.order): act for act in result.acts if act.order is not None}
    behind: dict[int, tuple[OwnOrder, ...]] = {}
    blocked: set[int] = set()
    replaced: set[int] = set()
    for act in places:
        for order in live:
            if order.side is act.side or not order.is_live or not _meet(act, order.worst_price_e4):
                continue
            other = by_order.get(id(order))
            if other is not None and other.action is Action.CANCEL:
                pass
            elif other is not None and other.is_move and not _meet(act, other.price_e4):
                replaced.add(id(other))
            else:
                blocked.add(id(act))
                break
            behind[id(act)] = (*behind.get(id(act), ()), order)
        if any(one.side is not act.side and _meet(act, one.price_e4) for one in places):
            blocked.add(id(act))
    result.acts = [
        part
        for act in result.acts
        for part in _parts(result, act, behind.get(id(act), ()), blocked, is_replaced=id(act) in replaced)
    ]


def _parts(
    result: Plan, act: Act, others: tuple[OwnOrder, ...], blocked: set[int], *, is_replaced: bool
) -> list[Act]:
    if id(act) in blocked:
        result.held.append(Held(act.side, Reason.CANCEL_FIRST))
        # The other side counts on this order's going away; its own new place has to wait.
        return [act.as_replacement()[0]] if is_replaced else []
    if act.action is Action.AMEND and (is_replaced or others):
        return list(act.as_replacement(*others))
    if act.action is Action.CREATE and others:
        behind = (*act.behind, *(other for other in others if other not in act.behind))
        return [Act(act.action, act.side, act.price_e4, act.qty_e2, None, act.why, behind)]
    return [act]


def _meet(act: Act, price_e4: int) -> bool:
    return (act.price_e4 - price_e4) * act.side.sign >= 0

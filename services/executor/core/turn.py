"""One planning pass under way: its moment, its plain cancels, and what must be planned again, and when."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.domain.reasons import Reason
from libs.common.kalshi.budget import CANCEL_BATCH, TokenBuckets, cost_of
from services.executor.core.account import Account, Now
from services.executor.core.effects import Effect, Log
from services.executor.core.order_life import Evidence
from services.executor.core.orders import OwnOrder
from services.executor.core.requests import CancelRequest


@dataclass(slots=True)
class Turn:
    """What the parts of a pass share.

    Attributes:
        cancels: Requests that leave at once and that nothing follows.
        again: Markets whose wishes are not done yet.
        wake_ns: When the first of them should be looked at again; None if answers will tell.
    """

    account: Account
    buckets: TokenBuckets
    now: Now
    cancels: list[CancelRequest] = field(default_factory=list)
    again: set[str] = field(default_factory=set)
    wake_ns: int | None = None

    def later(self, market: str, until_ns: int | None) -> None:
        """Plan a market again, at a time or, without one, when an answer has come."""
        self.again.add(market)
        if until_ns is not None and (self.wake_ns is None or until_ns < self.wake_ns):
            self.wake_ns = until_ns

    def cancel(self, order: OwnOrder) -> list[Effect]:
        """Cancel an order with tokens that only cancels may take; without any, its market comes again."""
        cost = cost_of(self.buckets.costs, CANCEL_BATCH)
        # Only kill ladder and triggers may touch the last tokens; everything else of the reserve is for this.
        wait_ns = self.buckets.acquire(cost, self.now.ns, is_cancel=True)
        if wait_ns:
            self.later(order.market, self.now.ns + wait_ns)
            self.account.held[Reason.BUDGET_EXHAUSTED.value] += 1
            return []
        return mark_cancelled(self.account, order, self.cancels, self.now)


def mark_cancelled(account: Account, order: OwnOrder, cancels: list[CancelRequest], now: Now) -> list[Effect]:
    """Mark an order as being cancelled and add the request."""
    account.orders.apply(order, Evidence.CANCEL_SENT, now.ns)
    order.asked_ns = now.ns
    cancels.append(
        CancelRequest(order.order_id, order.client_order_id, order.market, order.shard, order.decision_id)
    )
    return [
        account.order_effect(order),
        Log(
            "ORDER_CANCEL",
            fields={"market": order.market, "order_id": order.order_id, "decision_id": order.decision_id},
        ),
    ]

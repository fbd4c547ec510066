"""The one place where an approval is made: gate, then rules, then seal.

Every order goes through here, quotes and exits alike (design rule 3). The gate is
asked again by the sender right before the bytes leave; this first look saves the
journal from orders that could not go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.risk.model import Order, Refusal, Rule
from libs.common.risk.review import review
from libs.common.risk.rules.price_collar import reference_e4
from services.executor.core.account import Account, Now
from services.executor.core.orders import OwnOrder
from services.executor.core.requests import AmendRequest, CreateRequest
from services.executor.core.seal import Approved, Seal


@dataclass(slots=True)
class Approver:
    """Turns requests into approvals or refusals.

    Attributes:
        valid_ns: How long an approval lasts: an intent older than this is not sent.
    """

    account: Account
    seal: Seal
    rules: Sequence[Rule]
    valid_ns: int = 500_000_000

    def approve_create(self, request: CreateRequest, now: Now) -> Approved | Refusal:
        """Return the create sealed, or why not."""
        order = Order(
            request.market,
            self.account.event_of(request.market),
            request.side,
            request.price_e4,
            request.qty_e2,
        )
        return self._approve(request, order, None, now)

    def approve_amend(self, request: AmendRequest, replaced: OwnOrder, now: Now) -> Approved | Refusal:
        """Return the amend sealed, or why not; the order is judged by what it may become."""
        remaining_e2 = max(request.total_e2, replaced.total_e2) - replaced.booked_e2
        order = Order(
            request.market,
            self.account.event_of(request.market),
            request.side,
            request.price_e4,
            remaining_e2,
        )
        return self._approve(request, order, replaced, now)

    def _approve(
        self, request: CreateRequest | AmendRequest, order: Order, replaced: OwnOrder | None, now: Now
    ) -> Approved | Refusal:
        account = self.account
        closed = account.gate.account_reasons(now.ns, now.echo_age_ns) or account.gate.market_reasons(
            order.market, now.ms
        )
        if closed:
            return Refusal(f"gate: {closed[0]}", limit=0, was=len(closed))
        top = account.gate.top(order.market)
        view = account.desk.view(
            order,
            account.positions.qty_e2(order.market),
            account.positions.cost_e6(order.market),
            account.orders.opened(order.market, without=replaced),
            grid=account.grid_of(order.market),
            reference_e4=reference_e4(top.bid_e4, top.ask_e4) if top is not None else None,
            now_ns=now.ns,
        )
        answer = review(order, view, self.rules)
        if isinstance(answer, Refusal):
            return answer
        return self.seal.approve(request, account.journal.epoch, now.ns + self.valid_ns)

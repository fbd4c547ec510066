"""The one place where an approval is made: gate, then rules, then seal.

Every order goes through here, quotes and exits alike (design rule 3). The gate is
asked again by the sender right before the bytes leave; this first look saves the
journal from orders that could not go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from libs.common.risk.model import Order, Refusal, RiskView, Rule
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

    def approve_create(
        self, request: CreateRequest, now: Now, behind: Sequence[OwnOrder] = ()
    ) -> Approved | Refusal:
        """Return the create sealed, or why not.

        Args:
            request: The create.
            now: The clocks.
            behind: Orders that will be gone when it leaves: they are not counted here, and
                `recheck` must be asked right before the bytes.
        """
        return self._approve(request, self._order(request), behind, now)

    def recheck(self, request: CreateRequest, now: Now) -> Refusal | None:
        """Judge a create that had to wait for cancels once more, with the newest view."""
        account = self.account
        own = account.orders.by_client(request.client_order_id)
        if own is not None and own.is_waiting:
            return Refusal("cancel_not_confirmed", limit=0, was=1)
        order = self._order(request)
        view = self._view(order, () if own is None else (own,), now)
        # Its own approval was counted: it must not be refused for itself.
        view = replace(view, orders_last_s=max(0, view.orders_last_s - 1))
        answer = review(order, view, self.rules)
        return answer if isinstance(answer, Refusal) else None

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
        return self._approve(request, order, (replaced,), now)

    def _approve(
        self, request: CreateRequest | AmendRequest, order: Order, without: Sequence[OwnOrder], now: Now
    ) -> Approved | Refusal:
        account = self.account
        gate, is_exit = account.gate, isinstance(request, CreateRequest) and request.is_exit
        account_reasons = gate.exit_reasons if is_exit else gate.account_reasons
        closed = account_reasons(now.ns, now.echo_age_ns) or gate.market_reasons(
            order.market, now.ms, exit=is_exit, strategy=request.strategy
        )
        if closed:
            return Refusal(f"gate: {closed[0]}", limit=0, was=len(closed))
        answer = review(order, self._view(order, without, now), self.rules)
        if isinstance(answer, Refusal):
            return answer
        return self.seal.approve(request, account.journal.epoch, now.ns + self.valid_ns)

    def _order(self, request: CreateRequest) -> Order:
        event = self.account.event_of(request.market)
        return Order(request.market, event, request.side, request.price_e4, request.qty_e2)

    def _view(self, order: Order, without: Sequence[OwnOrder], now: Now) -> RiskView:
        account = self.account
        top = account.gate.top(order.market)
        return account.desk.view(
            order,
            account.positions.qty_e2(order.market),
            account.positions.cost_e6(order.market),
            account.orders.opened(order.market, without=without),
            grid=account.grid_of(order.market),
            reference_e4=reference_e4(top.bid_e4, top.ask_e4) if top is not None else None,
            now_ns=now.ns,
        )

"""The one place where an approval is made: gate, then rules, then seal.

Every order goes through here, quotes and exits alike (design rule 3). The gate is
asked again by the sender right before the bytes leave; this first look saves the
journal from orders that could not go.

Limits can change while orders are under way: what was sealed under the old ones
carries their number and does not leave any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.common.risk.limits import RiskLimits
from libs.common.risk.model import Order, Refusal, RiskView, Rule
from libs.common.risk.registry import rules_of
from libs.common.risk.review import review
from libs.common.risk.rules.price_collar import reference_e4
from services.executor.core.account import Account, Now
from services.executor.core.orders import OwnOrder
from services.executor.core.requests import AmendRequest, CreateRequest
from services.executor.core.risk_desk import Reference
from services.executor.core.seal import Approved, Seal


@dataclass(slots=True)
class Approver:
    """Turns requests into approvals or refusals.

    Attributes:
        limits: What the rules go by; at first the configuration's.
        ceiling: The configuration's, which no change goes beyond.
        valid_ns: How long an approval lasts: an intent older than this is not sent.
        revision: Counts the limits used so far.
    """

    account: Account
    seal: Seal
    limits: RiskLimits
    valid_ns: int = 500_000_000
    revision: int = 0
    ceiling: RiskLimits = field(init=False)
    _rules: Sequence[Rule] = field(init=False)

    def __post_init__(self) -> None:
        self._rules, self.ceiling = rules_of(self.limits), self.limits

    def use_limits(self, limits: RiskLimits) -> None:
        """Go by these limits from now on; what is approved and has not left does not leave."""
        self.limits, self._rules = limits, rules_of(limits)
        self.revision += 1

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
        return self._approve(request, self._order(request, None), behind, now)

    def approve_amend(self, request: AmendRequest, replaced: OwnOrder, now: Now) -> Approved | Refusal:
        """Return the amend sealed, or why not; the order is judged by what it may become."""
        return self._approve(request, self._order(request, replaced), (replaced,), now)

    def passed(self, approved: Approved, now: Now) -> None:
        """Count an order that goes into a batch: the rates see it from now on, whatever becomes of it."""
        own = self.account.orders.by_client(approved.request.client_order_id)
        self.account.desk.passed(self._order(approved.request, own), now.ns)

    def recheck(self, approved: Approved, now: Now) -> Refusal | None:
        """Judge an approved order once more by the newest view and limits, right before its bytes leave.

        It is itself among the open orders by then, and among those let through; neither counts against it.
        """
        request, account = approved.request, self.account
        own = account.orders.by_client(request.client_order_id)
        if own is None:
            # Nothing counts what nobody knows of, so it must not come to exist.
            return Refusal("order_known", limit=1, was=0, unit="orders")
        if own.is_waiting:
            return Refusal("cancel_not_confirmed", limit=0, was=1, unit="orders")
        order = self._order(request, own)
        return review(order, self._view(order, (own,), now, is_counted=True), self._rules)

    def _approve(
        self, request: CreateRequest | AmendRequest, order: Order, without: Sequence[OwnOrder], now: Now
    ) -> Approved | Refusal:
        gate = self.account.gate
        reasons = gate.exit_reasons if order.is_exit else gate.account_reasons
        closed = reasons(now.ns, now.echo_age_ns) or gate.market_reasons(
            order.market, now.ms, exit=order.is_exit, strategy=request.strategy
        )
        if closed:
            return Refusal(f"gate: {closed[0]}", limit=0, was=len(closed), unit="reasons")
        refusal = review(order, self._view(order, without, now), self._rules)
        if refusal is not None:
            return refusal
        epoch = self.account.journal.epoch
        return self.seal.approve(request, epoch, now.ns + self.valid_ns, self.revision)

    def _order(self, request: CreateRequest | AmendRequest, own: OwnOrder | None) -> Order:
        is_change = is_exit = False
        if isinstance(request, AmendRequest):
            held_e2, booked_e2 = (own.total_e2, own.booked_e2) if own is not None else (0, 0)
            qty_e2, is_change = max(request.total_e2, held_e2) - booked_e2, True
        else:
            # Reduce-only is the venue's word for it, and it knows it only of what never rests.
            qty_e2, is_exit = request.qty_e2, request.is_exit
        market, event = request.market, self.account.event_of(request.market)
        return Order(
            market, event, request.side, request.price_e4, qty_e2, is_change=is_change, is_exit=is_exit
        )

    def _view(
        self, order: Order, without: Sequence[OwnOrder], now: Now, *, is_counted: bool = False
    ) -> RiskView:
        account = self.account
        return account.desk.view(
            order,
            account.holding(order.market, without),
            now.ns,
            grid=account.grid_of(order.market),
            reference=self._reference(order.market, now),
            is_counted=is_counted,
        )

    def _reference(self, market: str, now: Now) -> Reference:
        top = self.account.gate.top(market)
        if top is None or top.is_stale:
            return Reference()
        return Reference(reference_e4(top.bid_e4, top.ask_e4), abs(now.ms - top.as_of_ms))

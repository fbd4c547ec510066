"""Turn wants into approved requests inside a batch, and mark the orders that they change."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.risk.model import Refusal
from services.executor.core.account import Account, Now
from services.executor.core.approval import Approver
from services.executor.core.effects import Effect
from services.executor.core.journal import Draft
from services.executor.core.order_life import Evidence
from services.executor.core.orders import OwnOrder
from services.executor.core.packing import Packing
from services.executor.core.requests import AmendRequest, CreateRequest, DecreaseRequest
from services.executor.core.seal import Approved
from services.executor.core.wants import Want


@dataclass(slots=True)
class Drafting:
    """Builds requests for one account.

    Attributes:
        life_ms: How long an order or a renewal lives.
    """

    account: Account
    approver: Approver
    life_ms: int

    def approve(self, want: Want, packing: Packing, now: Now) -> Approved | Refusal:
        """Return an amend or create sealed, or why not; nothing is marked yet."""
        order = want.act.order
        if order is not None:
            return self.approver.approve_amend(self._amend(want, order, now), order, now)
        return self.approver.approve_create(self._create(want, packing, now), now, want.act.behind)

    def decrease(self, packing: Packing, want: Want, now: Now) -> list[Effect]:
        """Add a decrease."""
        order = want.act.order
        assert order is not None, want
        order.pending_total_e2 = order.filled_e2 + want.act.qty_e2
        packing.decreases.append(
            DecreaseRequest(
                order.order_id,
                order.client_order_id,
                order.market,
                order.shard,
                want.act.qty_e2,
                order.total_e2 - order.pending_total_e2,
            )
        )
        return self._changed(packing, order, want, now)

    def amend(self, packing: Packing, want: Want, approved: Approved, now: Now) -> list[Effect]:
        """Add an approved amend."""
        order, request = want.act.order, approved.request
        assert order is not None, want
        assert isinstance(request, AmendRequest), request
        order.pending_price_e4, order.pending_total_e2 = request.price_e4, request.total_e2
        order.pending_expires_ms = request.expires_ms
        self.approver.passed(approved, now)
        packing.amends.append(approved)
        return self._changed(packing, order, want, now)

    def create(self, packing: Packing, want: Want, approved: Approved, now: Now) -> list[Effect]:
        """Add an approved create, behind the orders that it must follow."""
        account, request = self.account, approved.request
        assert isinstance(request, CreateRequest), request
        order = OwnOrder(
            client_order_id=request.client_order_id,
            market=request.market,
            event=account.event_of(request.market),
            shard=request.shard,
            side=request.side,
            price_e4=request.price_e4,
            initial_e2=request.qty_e2,
            total_e2=request.qty_e2,
            epoch=account.journal.epoch,
            decision_id=want.slot.target.decision_id,
            order_group_id=request.order_group_id,
            expires_ms=request.expires_ms,
            asked_ns=now.ns,
            behind=want.act.behind,
            strategy=want.slot.target.strategy,
        )
        account.orders.add(order)
        account.orders.apply(order, Evidence.INTENDED, now.ns)
        self.approver.passed(approved, now)
        packing.creates.append(approved)
        if order.behind:
            packing.after[order.client_order_id] = order.behind[0].order_id
        effects = [packing.add_create(request, want.slot, want.act)]
        effects += account.touched(request.market, now)
        account.dirty.discard(request.market)
        return effects

    def _amend(self, want: Want, order: OwnOrder, now: Now) -> AmendRequest:
        return AmendRequest(
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            market=order.market,
            shard=order.shard,
            side=order.side,
            price_e4=want.act.price_e4,
            total_e2=order.filled_e2 + want.act.qty_e2,
            expires_ms=now.ms + self.life_ms,
            strategy=want.slot.target.strategy,
        )

    def _create(self, want: Want, packing: Packing, now: Now) -> CreateRequest:
        account, act, market = self.account, want.act, want.market
        shard = account.shard_of(market)
        assert shard is not None, f"a market with a grid has a shard, {market}"
        draft = Draft(market, act.side, act.price_e4, act.qty_e2, want.slot.target.decision_id)
        return CreateRequest(
            market=market,
            shard=shard,
            client_order_id=account.journal.client_order_id(packing.number, len(packing.items), draft),
            side=act.side,
            price_e4=act.price_e4,
            qty_e2=act.qty_e2,
            order_group_id=account.groups[shard],
            expires_ms=now.ms + self.life_ms,
            strategy=want.slot.target.strategy,
        )

    def _changed(self, packing: Packing, order: OwnOrder, want: Want, now: Now) -> list[Effect]:
        account = self.account
        order.asked_ns = now.ns
        account.orders.apply(order, Evidence.AMEND_SENT, now.ns)
        if want.act.why != "renew":
            order.decision_id = want.slot.target.decision_id
        effects = [account.order_effect(order), packing.add_change(order, want.slot, want.act)]
        effects += account.touched(order.market, now)
        account.dirty.discard(order.market)
        return effects

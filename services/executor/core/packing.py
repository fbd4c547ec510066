"""One batch being filled: its requests, their journal items, and what is told of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.domain.reasons import Reason
from libs.common.messages.execution import Action, IntentItemV1
from libs.common.risk.model import Refusal
from services.executor.core.account import Account, Now
from services.executor.core.effects import Effect, Lane, Log, SendBatch
from services.executor.core.orders import OwnOrder
from services.executor.core.planner import Act
from services.executor.core.requests import CancelRequest, CreateRequest, DecreaseRequest
from services.executor.core.seal import Approved
from services.executor.core.target_store import TargetSlot
from services.executor.core.words import order_words


@dataclass(slots=True)
class Packing:
    """A batch being filled."""

    number: int
    lane: Lane = Lane.BATCH
    items: list[IntentItemV1] = field(default_factory=list)
    creates: list[Approved] = field(default_factory=list)
    amends: list[Approved] = field(default_factory=list)
    decreases: list[DecreaseRequest] = field(default_factory=list)
    origins_ns: list[tuple[str, int, int]] = field(default_factory=list)
    markets: dict[str, None] = field(default_factory=dict)
    cancels: list[CancelRequest] = field(default_factory=list)
    after: dict[str, str] = field(default_factory=dict)

    def close(self, account: Account, now: Now) -> SendBatch:
        """Return the batch with its intent."""
        return SendBatch(
            account.journal.intent(self.number, self.items, now.ms * 1_000_000),
            tuple(self.creates),
            tuple(self.amends),
            tuple(self.decreases),
            tuple(self.origins_ns),
            tuple(self.markets),
            cancels=tuple(self.cancels),
            after=self.after,
            lane=self.lane,
        )

    def add_create(self, create: CreateRequest, slot: TargetSlot, act: Act) -> Effect:
        """Add a create's journal item and return its log line (C-034: before it is sent)."""
        target = slot.target
        self.items.append(
            IntentItemV1(
                action=Action.CREATE,
                market=create.market,
                shard=create.shard,
                client_order_id=create.client_order_id,
                side=create.side,
                price_e4=create.price_e4,
                qty_e2=create.qty_e2,
                order_group_id=create.order_group_id,
                expires_ms=create.expires_ms,
                decision_id=target.decision_id,
                book_sequence=target.book_sequence,
            )
        )
        self._measure(create.client_order_id, slot, act)
        fields = {
            "decision_id": target.decision_id,
            **order_words(create.market, create.side, create.price_e4, create.qty_e2),
            "client_order_id": create.client_order_id,
            "batch_number": self.number,
        }
        return Log("ORDER_PLACE", fields=fields)

    def add_change(self, order: OwnOrder, slot: TargetSlot, act: Act) -> Effect:
        """Add the journal item of an amend or decrease and return its log line."""
        self.items.append(
            IntentItemV1(
                action=act.action,
                market=order.market,
                shard=order.shard,
                client_order_id=order.client_order_id,
                order_id=order.order_id,
                side=order.side,
                price_e4=act.price_e4,
                qty_e2=act.qty_e2 if act.action is Action.DECREASE else order.pending_total_e2 or 0,
                expires_ms=order.pending_expires_ms or 0,
                decision_id=order.decision_id,
                book_sequence=slot.target.book_sequence,
            )
        )
        self._measure(order.client_order_id, slot, act)
        fields = {
            "decision_id": order.decision_id,
            "order_id": order.order_id,
            **order_words(order.market, order.side, act.price_e4, act.qty_e2),
            "why": act.why,
        }
        return Log("ORDER_AMEND" if act.action is Action.AMEND else "ORDER_DECREASE", fields=fields)

    def _measure(self, client: str, slot: TargetSlot, act: Act) -> None:
        self.markets[slot.target.market] = None
        if slot.is_measured and act.why != "renew" and slot.target.origin_mono_ns:
            self.origins_ns.append((client, slot.target.origin_mono_ns, slot.arrived_ns))


def refused(account: Account, slot: TargetSlot, act: Act, refusal: Refusal, now: Now) -> list[Effect]:
    """Count a refusal and tell it: each side and rule of a market once a second."""
    market = slot.target.market
    account.counters["refusals"] += 1
    account.held[Reason.RISK_REFUSED.value] += 1
    key = (market, act.side.value, refusal.rule)
    if key in account.recent_audits:
        return []
    account.recent_audits.append(key)
    return [
        account.audit(
            "ORDER_REFUSED",
            now,
            market=market,
            decision_id=slot.target.decision_id,
            reason=act.side.value,
            status="refused",
            rule=(refusal.rule, refusal.limit, refusal.was),
            unit=refusal.unit,
        ),
        Log(
            "ORDER_REFUSED",
            level="WARNING",
            fields={
                "decision_id": slot.target.decision_id,
                **order_words(market, act.side, act.price_e4, act.qty_e2),
                "rule": refusal.rule,
                "limit": refusal.limit,
                "was": refusal.was,
                "unit": refusal.unit,
            },
        ),
    ]

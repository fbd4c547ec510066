"""One planning pass: plan every market that changed, approve, and pack what may go into batches.

Rules of the file:

* Cancels leave first and are never held by the gate; only the bucket's last tokens
  (the kill ladder's) are kept from them.
* A closed gate holds creates and amends; a quote that should move is then cancelled.
* Tokens decide how much goes now. What they do not pay for stays wanted, and its
  market stays dirty; nothing is queued, because the next pass knows better.
* A create needs an order group of its shard and of this epoch; the first create of
  a shard asks for one and waits.
* After refusals a market waits, each time longer, so that a target that the venue
  refuses does not eat the tokens of the others.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.domain.reasons import Reason
from libs.common.kalshi.budget import AMEND, CANCEL_BATCH, CREATE, DECREASE, TokenBuckets, cost_of
from libs.common.messages.execution import Action
from libs.common.risk.model import Refusal
from services.executor.core.account import Account, Now
from services.executor.core.approval import Approver
from services.executor.core.effects import Effect, Lane, Log, MakeGroup, SendCancels
from services.executor.core.journal import Draft
from services.executor.core.order_life import Evidence
from services.executor.core.orders import OwnOrder
from services.executor.core.packing import Packing, refused
from services.executor.core.planner import Act, PlanRules, ReplaceWith, plan
from services.executor.core.requests import AmendRequest, CancelRequest, CreateRequest, DecreaseRequest
from services.executor.core.target_store import TargetSlot

_UNSCOPED = 0


class ExecutionMode(enum.StrEnum):
    """How creates leave: several in one request, or one each (a fallback, B-059)."""

    BATCH = "batch"
    SINGLE = "single"


@dataclass(slots=True)
class Quoter:
    """Turns targets into batches.

    Attributes:
        batch_items: Most requests in one batch.
        batches_max: Batches whose answers may be outstanding.
        batches_open: Batches without all their answers.
        wake_ns: When tokens or a pause will let something go that was held, None if nothing waits.
    """

    account: Account
    approver: Approver
    buckets: TokenBuckets
    rules: PlanRules
    mode: ExecutionMode = ExecutionMode.BATCH
    batch_items: int = 20
    batches_max: int = 4
    priority: Mapping[str, int] = field(default_factory=dict)
    batches_open: int = 0
    wake_ns: int | None = None

    def run(self, now: Now) -> list[Effect]:
        """Return the effects of one pass over the dirty markets."""
        account = self.account
        self.wake_ns = None
        if not account.dirty:
            return []
        closed = bool(account.gate.account_reasons(now.ns, now.echo_age_ns))
        # A closed gate can not amend, so a quote that should move is better gone.
        rules = _cancelling(self.rules) if closed else self.rules
        markets = sorted(account.dirty, key=lambda market: (-self.priority.get(market, 0), market))
        account.dirty.clear()
        effects: list[Effect] = []
        cancels: list[CancelRequest] = []
        wants: list[tuple[str, TargetSlot, Act]] = []
        for market in markets:
            effects += self._plan_market(market, rules, cancels, wants, now, closed=closed)
        if cancels:
            effects.insert(0, SendCancels(tuple(cancels)))
        effects += self._batches(wants, now)
        for market in markets:
            slot = account.targets.get(market, now.ms)
            if slot is not None:
                slot.is_measured = False
        return effects

    def _plan_market(
        self,
        market: str,
        rules: PlanRules,
        cancels: list[CancelRequest],
        wants: list[tuple[str, TargetSlot, Act]],
        now: Now,
        *,
        closed: bool,
    ) -> list[Effect]:
        account = self.account
        slot = account.targets.get(market, now.ms)
        barred = account.gate.market_reasons(market, now.ms)
        wanted = slot.target.quotes if slot is not None and not barred else ()
        result = plan(wanted, account.orders.of_market(market), account.market_now(market, now), rules)
        account.held.update(held.reason.value for held in result.held)
        effects: list[Effect] = []
        for act in result.acts:
            if act.action is Action.CANCEL:
                effects += self._cancel(act, market, cancels, now)
            elif slot is None:
                continue  # only cancels come from nothing wanted
            elif closed and act.action is not Action.DECREASE:
                account.held[Reason.GATE_CLOSED.value] += 1
            else:
                wants.append((market, slot, act))
        return effects

    def _cancel(self, act: Act, market: str, cancels: list[CancelRequest], now: Now) -> list[Effect]:
        order = act.order
        assert order is not None, act
        # Only kill ladder and triggers may touch the last tokens; everything else of the reserve is for this.
        wait_ns = self.buckets.acquire(cost_of(self.buckets.costs, CANCEL_BATCH), now.ns, is_cancel=True)
        if wait_ns:
            self._later(market, now.ns + wait_ns)
            self.account.held[Reason.BUDGET_EXHAUSTED.value] += 1
            return []
        return self.cancel(order, cancels, now)

    def cancel(self, order: OwnOrder, cancels: list[CancelRequest], now: Now) -> list[Effect]:
        """Mark an order as being cancelled and add the request."""
        account = self.account
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

    def _batches(self, wants: list[tuple[str, TargetSlot, Act]], now: Now) -> list[Effect]:
        effects: list[Effect] = []
        packing: Packing | None = None
        # Decreases first, creates last: what lowers risk has the first call on the tokens.
        wants.sort(key=lambda want: _RANK[want[2].action])
        for market, slot, act in wants:
            if packing is None:
                if self.batches_open >= self.batches_max:
                    self._later(market, None)
                    continue
                packing = Packing(self.account.journal.next_batch(), Lane(self.mode.value))
            effects += self._add(packing, market, slot, act, now)
            if len(packing.items) >= self.batch_items:
                effects.append(self._close(packing, now))
                packing = None
        if packing is not None and packing.items:
            effects.append(self._close(packing, now))
        return effects

    def _close(self, packing: Packing, now: Now) -> Effect:
        self.batches_open += 1
        return packing.close(self.account, now)

    def _add(self, packing: Packing, market: str, slot: TargetSlot, act: Act, now: Now) -> list[Effect]:
        account = self.account
        if account.hold_until_ns.get(market, 0) > now.ns:
            self._later(market, account.hold_until_ns[market])
            return []
        if act.action is Action.CREATE:
            return self._add_create(packing, market, slot, act, now)
        order = act.order
        assert order is not None, act
        if act.action is Action.DECREASE:
            return self._add_decrease(packing, order, slot, act, now)
        return self._add_amend(packing, order, slot, act, now)

    def _add_decrease(
        self, packing: Packing, order: OwnOrder, slot: TargetSlot, act: Act, now: Now
    ) -> list[Effect]:
        if not self._pay(DECREASE, order.shard, order.market, now):
            return []
        order.pending_total_e2 = order.filled_e2 + act.qty_e2
        packing.decreases.append(
            DecreaseRequest(order.order_id, order.client_order_id, order.market, order.shard, act.qty_e2)
        )
        return self._sent(packing, order, slot, act, now)

    def _add_amend(
        self, packing: Packing, order: OwnOrder, slot: TargetSlot, act: Act, now: Now
    ) -> list[Effect]:
        account, market = self.account, order.market
        amend = AmendRequest(
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            market=market,
            shard=order.shard,
            side=order.side,
            price_e4=act.price_e4,
            total_e2=order.filled_e2 + act.qty_e2,
            expires_ms=now.ms + self.rules.life_ms,
        )
        answer = self.approver.approve_amend(amend, order, now)
        if isinstance(answer, Refusal):
            return refused(account, slot, act, answer, now)
        if not self._pay(AMEND, order.shard, market, now):
            return []
        order.pending_price_e4, order.pending_total_e2 = amend.price_e4, amend.total_e2
        order.pending_expires_ms = amend.expires_ms
        account.desk.passed(now.ns)
        packing.amends.append(answer)
        return self._sent(packing, order, slot, act, now)

    def _sent(self, packing: Packing, order: OwnOrder, slot: TargetSlot, act: Act, now: Now) -> list[Effect]:
        account = self.account
        order.asked_ns = now.ns
        account.orders.apply(order, Evidence.AMEND_SENT, now.ns)
        if act.why != "renew":
            order.decision_id = slot.target.decision_id
        effects = [account.order_effect(order), packing.add_change(order, slot, act)]
        effects += account.touched(order.market, now)
        account.dirty.discard(order.market)
        return effects

    def _add_create(
        self, packing: Packing, market: str, slot: TargetSlot, act: Act, now: Now
    ) -> list[Effect]:
        account = self.account
        shard = account.shard_of(market)
        assert shard is not None, f"a market with a grid has a shard, {market}"
        group = account.groups.get(shard)
        if group is None:
            if shard in account.groups_asked:
                return []
            account.groups_asked.add(shard)
            return [MakeGroup(shard)]
        draft = Draft(market, act.side, act.price_e4, act.qty_e2, slot.target.decision_id)
        create = CreateRequest(
            market=market,
            shard=shard,
            client_order_id=account.journal.client_order_id(packing.number, len(packing.items), draft),
            side=act.side,
            price_e4=act.price_e4,
            qty_e2=act.qty_e2,
            order_group_id=group,
            expires_ms=now.ms + self.rules.life_ms,
        )
        answer = self.approver.approve_create(create, now)
        if isinstance(answer, Refusal):
            return refused(account, slot, act, answer, now)
        # A batch is billed to the unscoped bucket whatever shard it goes to (kalshi-api 5.4).
        if not self._pay(CREATE, _UNSCOPED if self.mode is ExecutionMode.BATCH else shard, market, now):
            return []
        order = OwnOrder(
            client_order_id=create.client_order_id,
            market=market,
            event=account.event_of(market),
            shard=shard,
            side=act.side,
            price_e4=act.price_e4,
            initial_e2=act.qty_e2,
            total_e2=act.qty_e2,
            epoch=account.journal.epoch,
            decision_id=slot.target.decision_id,
            order_group_id=group,
            expires_ms=create.expires_ms,
            asked_ns=now.ns,
        )
        account.orders.add(order)
        account.orders.apply(order, Evidence.INTENDED, now.ns)
        account.desk.passed(now.ns)
        packing.creates.append(answer)
        effects = [packing.add_create(create, slot, act)]
        effects += account.touched(market, now)
        account.dirty.discard(market)
        return effects

    def _pay(self, endpoint: tuple[str, str], shard: int, market: str, now: Now) -> bool:
        wait_ns = self.buckets.acquire(cost_of(self.buckets.costs, endpoint), now.ns, shard)
        if not wait_ns:
            return True
        self.account.held[Reason.BUDGET_EXHAUSTED.value] += 1
        self._later(market, now.ns + wait_ns)
        return False

    def _later(self, market: str, until_ns: int | None) -> None:
        self.account.dirty.add(market)
        # Without a time it is an answer that wakes the next pass.
        if until_ns is not None and (self.wake_ns is None or until_ns < self.wake_ns):
            self.wake_ns = until_ns


_RANK = {Action.DECREASE: 0, Action.AMEND: 1, Action.CREATE: 2}


def _cancelling(rules: PlanRules) -> PlanRules:
    return PlanRules(
        hysteresis_ticks=rules.hysteresis_ticks,
        hysteresis_e2=rules.hysteresis_e2,
        replace_with=ReplaceWith.CANCEL_CREATE,
        amend_clear_ticks=rules.amend_clear_ticks,
        renew_ms=rules.renew_ms,
        life_ms=rules.life_ms,
    )

"""Hand the wants of a pass to batches: choose how each travels, approve it, pay for it, pack it.

Rules of the file:

* Approval first, then tokens: a refused want costs nothing.
* A create that follows a cancel never shares a request with one that need not wait.
* What can not go now is planned again. Its order rests on meanwhile, unless it gives
  more than is wanted and the wait is long: then it is cancelled.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.domain.reasons import Reason
from libs.common.kalshi.budget import AMEND, CANCEL_BATCH, CREATE, DECREASE, GROUP_CREATE, cost_of
from libs.common.messages.execution import Action
from libs.common.risk.model import Refusal
from services.executor.core.drafting import Drafting
from services.executor.core.effects import Effect, Lane, MakeGroup
from services.executor.core.lanes import UNSCOPED, Load, Way, choose
from services.executor.core.orders import OwnOrder
from services.executor.core.packing import Packing, refused
from services.executor.core.turn import Turn, mark_cancelled
from services.executor.core.wants import Knot, Want

_PATIENCE_NS = 250_000_000
"""A quote that gives more than wanted rests no longer than this for want of tokens."""


@dataclass(slots=True)
class Outbox:
    """The batches of one pass.

    Attributes:
        is_batching: False in single mode: every create goes alone.
        batch_items: Most requests in one batch.
        room: Batches that may still be opened.
        moves_min: Amends of prices travel as batched cancels and creates from so many on; 0 never.
    """

    turn: Turn
    drafting: Drafting
    is_batching: bool
    batch_items: int
    room: int
    moves_min: int
    effects: list[Effect] = field(default_factory=list)
    closed: list[Effect] = field(default_factory=list)
    count: int = 0
    _trays: dict[str, Packing] = field(default_factory=dict)

    def put(self, knots: list[Knot]) -> None:
        """Pack what may go now; the most important knots come first."""
        if not knots:
            return
        ready = [knot for knot in knots if self._is_ready(knot)]
        # What lowers risk has the first call on the tokens.
        ready.sort(key=lambda knot: knot.wants[0].act.action is not Action.DECREASE)
        loads = [self._load(knot) for knot in ready]
        now_ns, buckets = self.turn.now.ns, self.turn.buckets
        shards = {UNSCOPED, *(load.shard for load in loads)}
        tokens = {shard: buckets.spendable(now_ns, shard) for shard in shards}
        moves_min = self.moves_min if self.is_batching else 0
        ways = choose(loads, tokens, moves_min=moves_min, low_water=buckets.low_water)
        sent = list(zip(ready, loads, ways, strict=True))
        # Creates first: changes can then join the batch of any of them and share its intent.
        sent.sort(key=lambda one: one[0].wants[0].act.action is not Action.CREATE and one[2] is not Way.BATCH)
        waiting = [(knot, load) for knot, load, way in sent if way is Way.WAIT]
        for knot, _, way in sent:
            if way is not Way.WAIT:
                self._pack(knot, way)
        self._wait(waiting)
        for packing in self._trays.values():
            self._close(packing)
        self._trays.clear()

    def _is_ready(self, knot: Knot) -> bool:
        account, now = self.turn.account, self.turn.now
        market = knot.wants[0].market
        if account.hold_until_ns.get(market, 0) > now.ns:
            self._defer(knot, account.hold_until_ns[market])
            return False
        shard = account.shard_of(market)
        if shard is not None and shard not in account.groups and _creates(knot):
            if shard not in account.groups_asked:
                account.groups_asked.add(shard)
                buckets = self.turn.buckets
                buckets.charge(cost_of(buckets.costs, GROUP_CREATE), now.ns, shard)
                self.effects.append(MakeGroup(shard))
            account.held[Reason.NO_ORDER_GROUP.value] += 1
            self._cancel_gone(knot, only_generous=True)
            return False
        if len(knot.wants) > 1 and (not self.is_batching or not self._fits(knot)):
            # The slow way: cancels now, and places when they are free.
            account.held[Reason.CANCEL_FIRST.value] += 1
            self._cancel_gone(knot, only_generous=False)
            return False
        return True

    def _fits(self, knot: Knot) -> bool:
        cost = self._load(knot).batch
        is_payable = cost is not None and cost <= self.turn.buckets.spendable_max()
        return is_payable and len(knot.wants) <= self.batch_items and len(knot.gone) <= self.batch_items

    def _load(self, knot: Knot) -> Load:
        costs, account = self.turn.buckets.costs, self.turn.account
        act = knot.wants[0].act
        shard = account.shard_of(knot.wants[0].market) if act.order is None else act.order.shard
        assert shard is not None, f"a market with a grid has a shard, {knot}"
        create, cancel = cost_of(costs, CREATE), cost_of(costs, CANCEL_BATCH)
        if act.action is Action.DECREASE:
            return Load(shard, None, cost_of(costs, DECREASE))
        if act.action is Action.AMEND:
            batch = create + cancel if act.is_move and self.is_batching else None
            return Load(shard, batch, cost_of(costs, AMEND), is_move=act.is_move)
        gone = cancel * len(knot.gone)
        batch = create * len(knot.wants) + gone if self.is_batching else None
        return Load(shard, batch, create if len(knot.wants) == 1 else None, gone)

    def _pack(self, knot: Knot, way: Way) -> None:
        if way is Way.BATCH and knot.wants[0].act.is_move:
            knot = Knot([knot.wants[0].replaced()])
        packing = self._tray(knot, way)
        if packing is None:
            self._defer(knot, None)
            return
        is_tied = len(knot.wants) > 1
        done = [self._draft(packing, want, way) for want in knot.wants]
        for order in knot.cancels:
            self._cancel_with(packing, order)
        for want, is_done in zip(knot.wants, done, strict=True):
            # In a knot others count on this order's end.
            if want.gone is not None and (is_done or is_tied):
                self._cancel_with(packing, want.gone)
            elif not is_done and want.gives_more and want.leaving is not None:
                self.effects += self.turn.cancel(want.leaving)

    def _draft(self, packing: Packing, want: Want, way: Way) -> bool:
        account, now, drafting = self.turn.account, self.turn.now, self.drafting
        if want.act.action is Action.DECREASE:
            if not self._pay(want, way):
                return False
            self.effects += drafting.decrease(packing, want, now)
            return True
        approved = drafting.approve(want, packing, now)
        if isinstance(approved, Refusal):
            self.effects += refused(account, want.slot, want.act, approved, now)
            return False
        if not self._pay(want, way):
            return False
        add = drafting.amend if want.act.action is Action.AMEND else drafting.create
        self.effects += add(packing, want, approved, now)
        return True

    def _pay(self, want: Want, way: Way) -> bool:
        costs, turn = self.turn.buckets.costs, self.turn
        endpoint = {Action.DECREASE: DECREASE, Action.AMEND: AMEND}.get(want.act.action, CREATE)
        order = want.act.order
        shard = turn.account.shard_of(want.market) if order is None else order.shard
        assert shard is not None, want
        bucket = UNSCOPED if way is Way.BATCH else shard
        wait_ns = turn.buckets.acquire(cost_of(costs, endpoint), turn.now.ns, bucket)
        if wait_ns:
            turn.later(want.market, turn.now.ns + wait_ns)
            turn.account.held[Reason.BUDGET_EXHAUSTED.value] += 1
        return not wait_ns

    def _cancel_with(self, packing: Packing, order: OwnOrder) -> None:
        turn = self.turn
        wait_ns = turn.buckets.acquire(cost_of(turn.buckets.costs, CANCEL_BATCH), turn.now.ns, is_cancel=True)
        if wait_ns:
            # Then its create finds no confirmation and is not sent.
            turn.later(order.market, turn.now.ns + wait_ns)
            return
        self.effects += mark_cancelled(turn.account, order, packing.cancels, turn.now)

    def _tray(self, knot: Knot, way: Way) -> Packing | None:
        is_create = knot.wants[0].act.action is Action.CREATE
        if not is_create:
            for packing in self._trays.values():
                if len(packing.items) < self.batch_items:
                    return packing
            return self._open("alone", Lane.SINGLE)
        if way is Way.SINGLE:
            kind, lane = "alone", Lane.SINGLE
        else:
            kind, lane = ("behind" if knot.gone else "free"), Lane.BATCH
        held = self._trays.get(kind)
        if held is not None and self._has_room(held, knot):
            return held
        return self._open(kind, lane)

    def _has_room(self, packing: Packing, knot: Knot) -> bool:
        most = max(len(packing.items) + len(knot.wants), len(packing.cancels) + len(knot.gone))
        return most <= self.batch_items

    def _open(self, kind: str, lane: Lane) -> Packing | None:
        if kind in self._trays:
            self._close(self._trays.pop(kind))
        if self.count + len(self._trays) >= self.room:
            return None
        self._trays[kind] = Packing(self.turn.account.journal.next_batch(), lane)
        return self._trays[kind]

    def _close(self, packing: Packing) -> None:
        if packing.items:
            self.count += 1
            self.closed.append(packing.close(self.turn.account, self.turn.now))
        else:
            self.turn.cancels += packing.cancels

    def _wait(self, waiting: list[tuple[Knot, Load]]) -> None:
        """Plan these again once some of them can be paid together: one by one they could not share a call."""
        buckets, now_ns = self.turn.buckets, self.turn.now.ns
        sums: dict[int, tuple[int, int]] = {}
        for _, load in waiting:
            bucket = load.shard if load.single is not None else UNSCOPED
            cost = load.single if load.single is not None else load.batch or 0
            count, tokens = sums.get(bucket, (0, 0))
            if count < max(1, self.moves_min) and tokens + cost <= buckets.spendable_max(bucket):
                sums[bucket] = (count + 1, tokens + cost)
        waits = [buckets.wait_ns(tokens, now_ns, bucket) for bucket, (_, tokens) in sums.items()]
        until_ns = now_ns + max(1_000_000, min(waits, default=1_000_000_000))
        for knot, _ in waiting:
            self.turn.account.held[Reason.BUDGET_EXHAUSTED.value] += 1
            self._defer(knot, until_ns)

    def _defer(self, knot: Knot, until_ns: int | None) -> None:
        self.turn.later(knot.wants[0].market, until_ns)
        if until_ns is not None and until_ns - self.turn.now.ns > _PATIENCE_NS:
            self._cancel_gone(knot, only_generous=True)

    def _cancel_gone(self, knot: Knot, *, only_generous: bool) -> None:
        for order in knot.cancels:
            self.effects += self.turn.cancel(order)
        for want in knot.wants:
            is_meant = want.gives_more or (want.gone is not None and not only_generous)
            if want.leaving is not None and is_meant:
                self.effects += self.turn.cancel(want.leaving)


def _creates(knot: Knot) -> bool:
    return any(want.act.action is Action.CREATE for want in knot.wants)

"""One planning pass: plan every market that changed, and hand what may go now to batches.

Rules of the file:

* Cancels leave first and are never held by the gate; only the tokens of the kill
  ladder's triggers are kept from them.
* A closed gate holds creates and amends; a quote that should move is then cancelled.
* Tokens decide how much goes now, and how it travels (`lanes`). What they do not pay
  for stays wanted, and its market stays dirty; nothing is queued, because the next
  pass knows better. A quote that gives more than wanted does not rest on while its
  new place waits for long: it is cancelled.
* A create needs an order group of its shard and of this epoch; the first create of
  a shard asks for one and waits.
* Quotes are made smaller by the size factor of the permits: a ramp after a resume.
* After refusals a market waits, each time longer, so that a target that the venue
  refuses does not eat the tokens of the others.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import structs

from libs.common.control.ramp import FULL_E4, scaled_e2
from libs.common.domain.reasons import Reason
from libs.common.kalshi.budget import TokenBuckets
from libs.common.messages.execution import Action
from libs.common.messages.target import QuoteV1
from services.executor.core.account import Account, Now
from services.executor.core.approval import Approver
from services.executor.core.drafting import Drafting
from services.executor.core.effects import Effect, Log, SendCancels
from services.executor.core.orders import OwnOrder
from services.executor.core.outbox import Outbox
from services.executor.core.planner import PlanRules, ReplaceWith, plan
from services.executor.core.reducing import shrinking
from services.executor.core.requests import CancelRequest
from services.executor.core.turn import Turn, mark_cancelled
from services.executor.core.wants import Knot, sort_acts


class ExecutionMode(enum.StrEnum):
    """How creates leave: several in one request, or one each (a fallback, B-059)."""

    BATCH = "batch"
    SINGLE = "single"


@dataclass(slots=True)
class Quoter:
    """Turns targets into batches.

    Attributes:
        mode: May change at any time; the next pass follows it.
        batch_items: Most requests in one batch; halved when the venue finds a batch too large.
        batches_max: Batches whose answers may be outstanding.
        priority: Markets with a higher number get the tokens first.
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
    _filled: set[int] = field(default_factory=set)

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
        turn = Turn(account, self.buckets, now)
        effects: list[Effect] = []
        knots: list[Knot] = []
        for market in markets:
            for order in self._plan_market(market, rules, knots, now, closed=closed):
                effects += turn.cancel(order)
        outbox = Outbox(
            turn,
            Drafting(account, self.approver, self.rules.life_ms),
            is_batching=self.mode is ExecutionMode.BATCH,
            batch_items=self.batch_items,
            room=self.batches_max - self.batches_open,
            moves_min=self.rules.batch_moves_min,
        )
        outbox.put(knots)
        self.batches_open += outbox.count
        account.dirty |= turn.again
        self.wake_ns = turn.wake_ns
        for market in markets:
            slot = account.targets.get(market, now.ms)
            if slot is not None:
                slot.is_measured = False
        size = self.batch_items
        first = [
            SendCancels(tuple(turn.cancels[start : start + size]), is_paid=True)
            for start in range(0, len(turn.cancels), size)
        ]
        return [*first, *outbox.closed, *effects, *outbox.effects]

    def _plan_market(
        self, market: str, rules: PlanRules, knots: list[Knot], now: Now, *, closed: bool
    ) -> list[OwnOrder]:
        account = self.account
        slot = account.targets.get(market, now.ms)
        wanted = self._scaled(slot.target.quotes) if slot is not None else ()
        strategy = slot.target.strategy if slot is not None else None
        barred = bool(account.gate.market_reasons(market, now.ms, strategy=strategy))
        if closed or barred:
            shuts_exits = account.gate.exit_reasons(now.ns, now.echo_age_ns) or account.gate.market_reasons(
                market, now.ms, exit=True, strategy=strategy
            )
            if not shuts_exits:
                # Halted at the level `REDUCE_ONLY`: what only shrinks the position stays where it is.
                wanted = shrinking(wanted, account.positions.qty_e2(market))
                rules, closed = _cancelling(rules), True
            elif barred:
                wanted = ()
        result = plan(wanted, account.orders.of_market(market), account.market_now(market, now), rules)
        account.held.update(held.reason.value for held in result.held)
        acts = result.acts
        if closed:
            kept = [act for act in acts if act.action in (Action.CANCEL, Action.DECREASE)]
            account.held[Reason.GATE_CLOSED.value] += len(acts) - len(kept)
            acts = kept
        if slot is None:
            # Only cancels come from nothing wanted.
            return [act.order for act in acts if act.action is Action.CANCEL and act.order is not None]
        gone, tied = sort_acts(market, slot, acts)
        knots += tied
        return gone

    def _scaled(self, quotes: tuple[QuoteV1, ...]) -> tuple[QuoteV1, ...]:
        """Return the quotes in the sizes that permits grant; exits and orders by hand never come here."""
        scale_e4 = self.account.gate.scale_e4
        if scale_e4 >= FULL_E4:
            return quotes
        small = [structs.replace(quote, qty_e2=scaled_e2(quote.qty_e2, scale_e4)) for quote in quotes]
        self.account.held[Reason.SIZE_RAMP.value] += sum(not quote.qty_e2 for quote in small)
        return tuple(small)

    def cancel(self, order: OwnOrder, cancels: list[CancelRequest], now: Now) -> list[Effect]:
        """Mark an order as being cancelled and add the request."""
        return mark_cancelled(self.account, order, cancels, now)

    def gauges(self) -> dict[str, float]:
        """Return what the status shows by name."""
        shown = {"batch_items": float(self.batch_items), "batches_open": float(self.batches_open)}
        return {**shown, "is_batch_mode": float(self.mode is ExecutionMode.BATCH), **self.buckets.gauges()}

    def watch_budget(self, now: Now) -> list[Effect]:
        """Return the early warning for each bucket that has come down to a fifth (B-069)."""
        low = set(self.buckets.low_shards(now.ns))
        # It was full once since the last warning: a bucket that has never filled has nothing to tell.
        fresh = {shard for shard in low if shard in self._filled}
        self._filled = (self._filled | self.buckets.half_full(now.ns)) - low
        return [
            Log(
                "BUDGET_LOW",
                level="WARNING",
                fields={"shard": shard, "tokens": self.buckets.tokens(now.ns, shard)},
            )
            for shard in sorted(fresh)
        ]

    def too_large(self, items: int) -> None:
        """Take it that the venue refused a batch for its size: the next ones are half as large."""
        self.batch_items = max(1, min(self.batch_items, items) // 2)


def _cancelling(rules: PlanRules) -> PlanRules:
    return dataclasses.replace(rules, replace_with=ReplaceWith.CANCEL_CREATE, place_value_e4=0)

"""Orders that people and flattenings ask for: exits and manual orders, placed once and confirmed.

They take the way of every order: gate, rules, seal, intent, sender. Rules of the file:

* A request id makes at most one order, ever: what it came to is remembered, and after a
  crash the journal says that it was used. Asking again waits for the same order.
* A refusal is an answer at once. Only what mends itself within seconds is waited for:
  an order group, tokens, and own quotes in the way of an exit.
* An exit is immediate-or-cancel and reduce-only. Own quotes that it would meet are
  cancelled first and held back until it is over: the venue would else cut it short there.
  Exits of one market together never ask for more than its position, and where only what
  shrinks a position may rest, orders that would shrink the same contracts make way too.
* A manual order may rest, with an expiry of its own, so that it ends even if we do not live
  to cancel it. It never makes way for itself: one that would meet an own quote is refused.
* A market with an unknown order takes neither (design rule 5).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.common.domain.units import DOLLAR_E4
from libs.common.kalshi.budget import CREATE, GROUP_CREATE, cost_of
from libs.common.messages.execution import Action, IntentItemV1, Purpose
from libs.common.messages.orders import ConfirmationV1, ConfirmBatchV1, ConfirmStatus, PlaceAskV1
from libs.common.risk.model import Refusal
from services.executor.core.account import Account, Now
from services.executor.core.confirmation import (
    Confirming,
    ConfirmTerms,
    Decided,
    confirmation,
    never_placed,
    together,
)
from services.executor.core.effects import (
    Confirmed,
    Effect,
    Lane,
    Log,
    MakeGroup,
    ReadOrder,
    SendBatch,
    SendCancels,
)
from services.executor.core.journal import Draft
from services.executor.core.order_life import Evidence
from services.executor.core.orders import OwnOrder
from services.executor.core.quoting import Quoter
from services.executor.core.requests import CancelRequest, CreateRequest
from services.executor.core.words import order_words

_S = 1_000_000_000
STRATEGY = "operator"
"""Whose orders these are: a halt of one strategy does not reach them, every wider one does."""
WAIT_S_MAX = 240.0
"""The bus lets a service answer for five minutes; an answer that comes later reaches nobody."""
POLL_S_MIN = 0.1
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,48}")
_SEND_NS = 5 * _S
"""How long a request may wait for its group, its tokens or its way."""
_OUTLIVE_MS = 30_000
"""How long a manual order may outlive its wait at the venue if nobody is left to cancel it."""
_HOLD_NS = _S
_REMEMBERED_MAX = 10_000


@dataclass(slots=True)
class _Asked:
    """One request on its way."""

    ask: PlaceAskV1
    decided: Decided
    decision_id: str
    began_ns: int
    waits_for: str = ""
    confirming: Confirming | None = None


@dataclass(slots=True)
class DirectOrders:
    """Places and confirms one account's orders that no target wants.

    Attributes:
        earlier: What was ever placed: client order id by ``ask-<request id>``, from the journal and
            by this process, whose answers are remembered for a while only.
        terms: Defaults; a request brings its own wait and poll.
    """

    account: Account
    quoter: Quoter
    terms: ConfirmTerms = field(default_factory=ConfirmTerms)
    earlier: dict[str, str] = field(default_factory=dict)
    _open: dict[str, _Asked] = field(default_factory=dict)
    _done: OrderedDict[str, tuple[PlaceAskV1, ConfirmationV1]] = field(default_factory=OrderedDict)

    def complaint(self, ask: PlaceAskV1) -> str:
        """Return why the request is none that could be placed, empty if it could."""
        known = self._known(ask.request_id)
        checks = (
            (
                _REQUEST_ID.fullmatch(ask.request_id) is None,
                "request_id: 1 to 48 letters, digits, dashes and underscores",
            ),
            (known not in (None, ask), f"request_id: {ask.request_id} was used for another order"),
            (
                ask.account != self.account.name,
                f"account: expected {self.account.name}, was {ask.account!r}",
            ),
            (ask.mode is Purpose.MAKER, "mode: manual or exit; quotes come from targets"),
            (not ask.by or not ask.reason, "by and reason: who asks and why, both"),
            (ask.qty_e2 <= 0, f"qty_e2: above 0, was {ask.qty_e2}"),
            (not 0 < ask.price_e4 < DOLLAR_E4, f"price_e4: 1 to 9_999, was {ask.price_e4}"),
            (
                not 0 < ask.max_wait_s <= WAIT_S_MAX,
                f"max_wait_s: up to {WAIT_S_MAX:g}, was {ask.max_wait_s:g}",
            ),
            (
                not POLL_S_MIN <= ask.poll_s <= WAIT_S_MAX,
                f"poll_s: from {POLL_S_MIN:g}, was {ask.poll_s:g}",
            ),
        )
        return next((text for is_wrong, text in checks if is_wrong), "")

    def place(self, ask: PlaceAskV1, now: Now) -> list[Effect]:
        """Take a request without complaint; its confirmation follows as `Confirmed`, or is known already."""
        assert not self.complaint(ask), self.complaint(ask)
        done = self._done.get(ask.request_id)
        if ask.request_id in self._open or (done is not None and not _is_open_end(done[1])):
            return []
        top = self.account.gate.top(ask.market)
        decided = Decided(
            ask.request_id, top.bid_e4 if top is not None else None, top.ask_e4 if top is not None else None
        )
        decision_id = f"{self.account.run}:{ask.market}:ask-{ask.request_id}"
        asked = _Asked(ask, decided, decision_id, now.ns)
        client = self.earlier.get(f"ask-{ask.request_id}", "")
        if done is not None and done[1].order is not None:
            client = done[1].order.client_order_id
        if client:
            return self._again(asked, client, now)
        self._open[ask.request_id] = asked
        fields = {
            "decision_id": decision_id,
            **order_words(ask.market, ask.side, ask.price_e4, ask.qty_e2),
            "mode": ask.mode.value,
            "by": ask.by,
            "reason": ask.reason,
        }
        audit = self.account.audit(
            "ORDER_ASKED",
            now,
            market=ask.market,
            decision_id=decision_id,
            reason=ask.reason,
            status=ask.mode.value,
            by=ask.by,
        )
        return [audit, Log("ORDER_ASKED", fields=fields), *self._look(asked, now)]

    def run(self, now: Now) -> list[Effect]:
        """Send what waited and may go, confirm what ended, read and cancel what is due."""
        effects: list[Effect] = []
        for asked in list(self._open.values()):
            effects += self._look(asked, now)
        return effects

    def answer(self, request_id: str) -> ConfirmationV1 | None:
        """Return what a request came to, None while it is open or never heard of."""
        done = self._done.get(request_id)
        return done[1] if done is not None else None

    def is_open(self, request_id: str) -> bool:
        """Return whether a request is on its way."""
        return request_id in self._open

    def confirm(self, request_ids: Sequence[str]) -> ConfirmBatchV1:
        """Return what several requests came to, together."""
        done = [found[1] for one in request_ids if (found := self._done.get(one)) is not None]
        pending = [one for one in request_ids if one in self._open]
        missing = [one for one in request_ids if one not in self._open and one not in self._done]
        return together(done, pending, missing)

    @property
    def pending(self) -> int:
        """Return how many requests are open."""
        return len(self._open)

    # One request -------------------------------------------------------------------------------------

    def _look(self, asked: _Asked, now: Now) -> list[Effect]:
        if asked.ask.mode is Purpose.EXIT:
            hold = self.account.hold_until_ns
            hold[asked.ask.market] = max(hold.get(asked.ask.market, 0), now.ns + _HOLD_NS)
        if asked.confirming is None:
            return self._try(asked, now)
        return self._confirm(asked, asked.confirming, now)

    def _confirm(self, asked: _Asked, confirming: Confirming, now: Now) -> list[Effect]:
        order, step = confirming.order, confirming.step(now.ns)
        if step.status is not None:
            told = confirming.result(step, self.account.name, self.account.wall_offset_ns, now.ns)
            return self._end(asked, told, now)
        effects: list[Effect] = []
        if step.cancel:
            cancels: list[CancelRequest] = []
            effects += self.quoter.cancel(order, cancels, now)
            effects.insert(0, SendCancels(tuple(cancels)))
        if step.poll:
            effects.append(ReadOrder(order.order_id))
        return effects

    def _try(self, asked: _Asked, now: Now) -> list[Effect]:
        """Send the order if it may go now; wait, or end with the reason."""
        account, ask = self.account, asked.ask
        if why := self._why_not(asked, now):
            return self._refuse(asked, why, now)
        if ask.mode is Purpose.EXIT and (in_the_way := self._in_the_way(ask, now)):
            asked.waits_for = "own quotes in its way are not cancelled"
            return self._make_way(in_the_way, now)
        if ask.mode is Purpose.EXIT and self._is_exiting(ask):
            asked.waits_for = "another exit closes the same position"
            return []
        shard = account.shard_of(ask.market)
        assert shard is not None, "looked at above"
        group = account.groups.get(shard)
        if group is None:
            asked.waits_for = f"no order group on shard {shard}"
            if shard in account.groups_asked:
                return []
            account.groups_asked.add(shard)
            buckets = self.quoter.buckets
            buckets.charge(cost_of(buckets.costs, GROUP_CREATE), now.ns, shard)
            return [MakeGroup(shard)]
        return self._send(asked, shard, group, now)

    def _why_not(self, asked: _Asked, now: Now) -> str:
        """Return why the order will not be sent, whatever one waits for; empty if it may be."""
        account, ask = self.account, asked.ask
        is_exit = ask.mode is Purpose.EXIT
        if now.ns - asked.began_ns > min(_SEND_NS, int(ask.max_wait_s * _S)):
            return f"not sent: {asked.waits_for}"
        if account.shard_of(ask.market) is None:
            return "not sent: no such market is known here"
        if account.orders.has_unknown(ask.market):
            return "not sent: an order of this market is unknown"
        if is_exit and account.positions.qty_e2(ask.market) * ask.side.sign >= 0:
            return "not sent: there is no position that this side would reduce"
        closed = self._closed(ask.market, now, is_exit=is_exit)
        return f"gate: {', '.join(closed)}" if closed else ""

    def _send(self, asked: _Asked, shard: int, group: str, now: Now) -> list[Effect]:
        account, ask, quoter = self.account, asked.ask, self.quoter
        is_exit = ask.mode is Purpose.EXIT
        number = account.journal.next_batch()
        draft = Draft(ask.market, ask.side, ask.price_e4, ask.qty_e2, asked.decision_id)
        request = CreateRequest(
            market=ask.market,
            shard=shard,
            client_order_id=account.journal.client_order_id(number, 0, draft),
            side=ask.side,
            price_e4=ask.price_e4,
            qty_e2=ask.qty_e2,
            order_group_id=group,
            expires_ms=0 if is_exit else now.ms + int(ask.max_wait_s * 1_000) + _OUTLIVE_MS,
            post_only=False,
            reduce_only=is_exit,
            is_immediate=is_exit,
            strategy=STRATEGY,
        )
        approved = quoter.approver.approve_create(request, now)
        if isinstance(approved, Refusal):
            return self._refused(asked, approved, now)
        # The single lane is billed to the shard's own bucket (kalshi-api 5.4).
        if quoter.buckets.acquire(cost_of(quoter.buckets.costs, CREATE), now.ns, shard):
            asked.waits_for = "no tokens"
            return []
        order = OwnOrder(
            client_order_id=request.client_order_id,
            market=ask.market,
            event=account.event_of(ask.market),
            shard=shard,
            side=ask.side,
            price_e4=ask.price_e4,
            initial_e2=ask.qty_e2,
            total_e2=ask.qty_e2,
            epoch=account.journal.epoch,
            decision_id=asked.decision_id,
            order_group_id=group,
            expires_ms=request.expires_ms,
            asked_ns=now.ns,
            purpose=ask.mode,
            strategy=STRATEGY,
        )
        account.orders.add(order)
        account.orders.apply(order, Evidence.INTENDED, now.ns)
        self.earlier[f"ask-{ask.request_id}"] = order.client_order_id
        quoter.approver.passed(approved, now)
        asked.confirming = Confirming(
            order, asked.decided, self._terms(ask), asked_e2=ask.qty_e2, began_ns=asked.began_ns
        )
        quoter.batches_open += 1
        item = _item(request, asked.decision_id, ask.mode)
        batch = SendBatch(
            intent=account.journal.intent(number, [item], now.ms * 1_000_000),
            creates=(approved,),
            amends=(),
            decreases=(),
            origins_ns=(),
            markets=(ask.market,),
            lane=Lane.SINGLE,
        )
        fields = {
            "decision_id": asked.decision_id,
            **order_words(ask.market, ask.side, ask.price_e4, ask.qty_e2),
            "client_order_id": request.client_order_id,
            "batch_number": number,
        }
        return [batch, Log("ORDER_PLACE", fields=fields), *account.touched(ask.market, now)]

    def _closed(self, market: str, now: Now, *, is_exit: bool) -> list[str]:
        gate = self.account.gate
        reasons = gate.exit_reasons if is_exit else gate.account_reasons
        return reasons(now.ns, now.echo_age_ns) or gate.market_reasons(
            market, now.ms, exit=is_exit, strategy=STRATEGY
        )

    def _in_the_way(self, ask: PlaceAskV1, now: Now) -> list[OwnOrder]:
        orders = self.account.orders.of_market(ask.market)
        found = [
            order
            for order in orders
            if order.side is ask.side.opposite
            and order.purpose is Purpose.MAKER
            and (ask.price_e4 - order.worst_price_e4) * ask.side.sign >= 0
        ]
        gate = self.account.gate
        # Whose orders rest there is not looked at: a halt of any strategy counts.
        if gate.account_reasons(now.ns, now.echo_age_ns) or gate.market_reasons(ask.market, now.ms):
            same = [o for o in orders if o.side is ask.side and o.purpose is not Purpose.EXIT]
            open_e2 = sum(order.open_e2 for order in same)
            if open_e2 + ask.qty_e2 > abs(self.account.positions.qty_e2(ask.market)):
                found += same
        return found

    def _is_exiting(self, ask: PlaceAskV1) -> bool:
        # More than the position is for the rules to refuse; the same contracts twice have to wait.
        closable_e2 = abs(self.account.positions.qty_e2(ask.market))
        exiting_e2 = self.account.orders.exiting_e2(ask.market, ask.side)
        return bool(exiting_e2) and ask.qty_e2 + exiting_e2 > closable_e2

    def _make_way(self, orders: Sequence[OwnOrder], now: Now) -> list[Effect]:
        cancels: list[CancelRequest] = []
        effects: list[Effect] = []
        for order in orders:
            if order.order_id and not order.is_in_flight:
                effects += self.quoter.cancel(order, cancels, now)
        if cancels:
            effects.insert(0, SendCancels(tuple(cancels)))
        return effects

    def _terms(self, ask: PlaceAskV1) -> ConfirmTerms:
        return ConfirmTerms(
            max_wait_ns=int(ask.max_wait_s * _S),
            poll_ns=int(ask.poll_s * _S),
            acceptable_e4=self.terms.acceptable_e4,
            verify_ns=self.terms.verify_ns,
            book_ns=self.terms.book_ns,
        )

    # Ends --------------------------------------------------------------------------------------------

    def _refused(self, asked: _Asked, refusal: Refusal, now: Now) -> list[Effect]:
        account = self.account
        account.counters["refusals"] += 1
        audit = account.audit(
            "ORDER_REFUSED",
            now,
            market=asked.ask.market,
            decision_id=asked.decision_id,
            reason=asked.ask.side.value,
            status="refused",
            rule=(refusal.rule, refusal.limit, refusal.was),
            unit=refusal.unit,
            by=asked.ask.by,
        )
        message = f"refused by {refusal.rule}: limit {refusal.limit}, was {refusal.was} {refusal.unit}"
        return [audit, *self._refuse(asked, message, now)]

    def _refuse(self, asked: _Asked, message: str, now: Now) -> list[Effect]:
        waited_ms = (now.ns - asked.began_ns) // 1_000_000
        told = never_placed(
            asked.decided,
            asked.ask.mode,
            asked.decision_id,
            message,
            asked_e2=asked.ask.qty_e2,
            waited_ms=waited_ms,
        )
        return self._end(asked, told, now)

    def _end(self, asked: _Asked, told: ConfirmationV1, now: Now) -> list[Effect]:
        ask = asked.ask
        self._open.pop(ask.request_id, None)
        self._done[ask.request_id] = (ask, told)
        self._done.move_to_end(ask.request_id)
        while len(self._done) > _REMEMBERED_MAX:
            self._done.popitem(last=False)
        is_filled = told.status is ConfirmStatus.FILLED
        level = "INFO" if is_filled else "WARNING" if told.is_acceptable else "ERROR"
        fields = {
            "market": ask.market,
            "decision_id": told.decision_id,
            "status": told.status.value,
            "error_msg": told.error_message,
            "order_id": told.order.order_id if told.order is not None else "",
            "filled_e2": told.filled_e2,
            "asked_e2": told.asked_e2,
            "slippage_mid_e6": told.slippage_mid_e6,
            "slippage_limit_e6": told.slippage_limit_e6,
            "waited_ms": told.waited_ms,
        }
        audit = self.account.audit(
            "ORDER_CONFIRMED",
            now,
            market=ask.market,
            order=asked.confirming.order if asked.confirming is not None else None,
            decision_id=told.decision_id,
            reason=told.error_message,
            status=told.status.value,
            latency_us=told.waited_ms * 1_000,
            by=ask.by,
        )
        return [Confirmed(told), audit, Log("ORDER_CONFIRMED", level=level, fields=fields)]

    def _again(self, asked: _Asked, client: str, now: Now) -> list[Effect]:
        """Answer for an order of an earlier process: whatever it came to, there is no second one."""
        order = self.account.orders.by_client(client)
        if order is not None:
            asked.decision_id = order.decision_id
            asked.confirming = Confirming(
                order,
                Decided(asked.ask.request_id),
                self._terms(asked.ask),
                asked_e2=asked.ask.qty_e2,
                began_ns=now.ns,
            )
            self._open[asked.ask.request_id] = asked
            return self._look(asked, now)
        gone = OwnOrder(
            client_order_id=client,
            market=asked.ask.market,
            event="",
            shard=0,
            side=asked.ask.side,
            price_e4=asked.ask.price_e4,
            initial_e2=asked.ask.qty_e2,
            total_e2=asked.ask.qty_e2,
            epoch=0,
            decision_id=asked.decision_id,
            order_group_id="",
            expires_ms=0,
            purpose=asked.ask.mode,
        )
        told = confirmation(
            Decided(asked.ask.request_id),
            gone,
            None,
            ConfirmStatus.CANCELLED,
            "placed by an earlier process; nothing of it was filled and nothing of it rests",
            asked_e2=asked.ask.qty_e2,
            acceptable_e4=self.terms.acceptable_e4,
            waited_ms=0,
            polls=0,
        )
        return self._end(asked, told, now)

    def _known(self, request_id: str) -> PlaceAskV1 | None:
        if (asked := self._open.get(request_id)) is not None:
            return asked.ask
        done = self._done.get(request_id)
        return done[0] if done is not None else None


def _is_open_end(told: ConfirmationV1) -> bool:
    """Return whether asking again may find more: only what is unknown can still become something else."""
    return told.status is ConfirmStatus.UNKNOWN


def _item(request: CreateRequest, decision_id: str, mode: Purpose) -> IntentItemV1:
    return IntentItemV1(
        action=Action.CREATE,
        market=request.market,
        shard=request.shard,
        client_order_id=request.client_order_id,
        side=request.side,
        price_e4=request.price_e4,
        qty_e2=request.qty_e2,
        order_group_id=request.order_group_id,
        expires_ms=request.expires_ms,
        decision_id=decision_id,
        purpose=mode,
    )

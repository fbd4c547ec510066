"""Take the venue's answers to our own requests.

An answer settles what it proves and nothing else: one that leaves an order's fate
open marks it for look-up, and what was filled on entry is not a position before the
fill itself has come (D-003).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.common.kalshi.model import Accepted, Refused, Unknown
from libs.common.messages.execution import Action, OrderState
from services.executor.core.account import Now
from services.executor.core.booking import Booking
from services.executor.core.effects import Effect, Log
from services.executor.core.order_life import Evidence
from services.executor.core.orders import OwnOrder
from services.executor.core.requests import CancelRequest


@dataclass(frozen=True, slots=True)
class NotSent:
    """Proof that no byte left, with the guard's or the connection's word."""

    reason: str


Answer = Accepted | Refused | Unknown | NotSent

CANCEL_NOT_CONFIRMED = "cancel_not_confirmed"
"""`NotSent` for a create whose place was not proven free."""

_GONE = ("not_found", "cannot_update_filled_order", "invalid_amend_qty_for_order")
_GROUP_DEAD = ("exceeded_order_group_risk_limit", "order_group_not_found", "order_group_triggered")
_PAUSE_MIN_NS = 100_000_000
_PAUSE_MAX_NS = 5_000_000_000


@dataclass(slots=True)
class Answers(Booking):
    """What answers prove."""

    _pauses: dict[str, int] = field(default_factory=dict)

    def on_sent(self, client_order_ids: Sequence[str], now: Now) -> None:
        """Note that a batch's bytes are leaving."""
        for client in client_order_ids:
            order = self.account.orders.by_client(client)
            if order is not None and order.state is OrderState.INTENDED:
                self.account.orders.apply(order, Evidence.SENT, now.ns)

    def on_create_answer(self, client_order_id: str, answer: Answer, now: Now) -> list[Effect]:
        """Take the answer to one create."""
        account = self.account
        order = account.orders.by_client(client_order_id)
        assert order is not None, f"an order that was sent, was {client_order_id}"
        order.answered_ns = now.ns
        if isinstance(answer, Accepted):
            account.counters["orders_created"] += 1
            self._pauses.pop(order.market, None)
            if not account.orders.name(order, answer.order_id):
                return self._on_second(order, answer.order_id, now, is_resting=bool(answer.remaining_e2))
            order.heard_ms = max(order.heard_ms, answer.venue_ms)
            if order.is_change_open:
                # It comes late: what was asked since is not answered by what it says.
                evidence = Evidence.FILLED
            elif answer.remaining_e2:
                evidence = Evidence.ACCEPTED_RESTING
            elif answer.filled_e2 >= order.total_e2:
                evidence = Evidence.ACCEPTED_FILLED
            else:
                evidence = Evidence.ACCEPTED_KILLED
            return self._apply(order, evidence, now, filled_e2=answer.filled_e2) + self._book_parked(
                order, now
            )
        if isinstance(answer, NotSent):
            self._pause_unsent(order.market, answer, now)
            return self._apply(order, Evidence.UNSENT, now, reason=f"unsent: {answer.reason}")
        # An id of ours that the venue knows already was accepted once: which fate it had must be read.
        if isinstance(answer, Unknown) or answer.code == "order_already_exists":
            account.counters["unknown"] += 1
            reason = answer.reason if isinstance(answer, Unknown) else answer.code
            return [
                *self._apply(order, Evidence.UNANSWERED, now, reason=reason),
                Log(
                    "ORDER_UNKNOWN",
                    level="WARNING",
                    fields={
                        "market": order.market,
                        "client_order_id": client_order_id,
                        "decision_id": order.decision_id,
                        "reason": reason,
                    },
                ),
            ]
        account.counters["refused"] += 1
        self._pause(order.market, now)
        effects = self._apply(order, Evidence.REFUSED, now, reason=answer.code)
        return effects + self._on_dead_group(answer.code, order)

    def on_amend_answer(self, client_order_id: str, action: Action, answer: Answer, now: Now) -> list[Effect]:
        """Take the answer to one amend or decrease."""
        account = self.account
        order = account.orders.by_client(client_order_id)
        assert order is not None, f"an order that was sent, was {client_order_id}"
        order.answered_ns = now.ns
        if isinstance(answer, Accepted):
            account.counters["orders_amended" if action is Action.AMEND else "orders_decreased"] += 1
            self._pauses.pop(order.market, None)
            order.heard_ms = max(order.heard_ms, answer.venue_ms)
            total_e2, price_e4 = order.pending_total_e2, order.pending_price_e4
            if answer.has_remaining and not answer.remaining_e2:
                # Filled or cut to nothing by fills that we have not heard of: which of the two, a read tells.
                return self._apply(order, Evidence.AMEND_UNANSWERED, now, reason="nothing_remains")
            if order.pending_expires_ms is not None:
                order.expires_ms = order.pending_expires_ms
            effects = self._apply(order, Evidence.AMEND_ACCEPTED, now, total_e2=total_e2, price_e4=price_e4)
            if answer.has_remaining and answer.remaining_e2 != order.remaining_e2:
                # Fills crossed the request: which total now holds is the feed's to say, or a read's.
                order.look_up = order.is_live
            return effects
        if isinstance(answer, Refused) and answer.code not in _GONE:
            account.counters["refused"] += 1
            self._pause(order.market, now)
            return self._apply(order, Evidence.AMEND_REFUSED, now, reason=answer.code)
        if isinstance(answer, NotSent):
            self._pause_unsent(order.market, answer, now)
            return self._apply(order, Evidence.AMEND_REFUSED, now, reason=f"unsent: {answer.reason}")
        reason = answer.reason if isinstance(answer, Unknown) else answer.code
        return self._apply(order, Evidence.AMEND_UNANSWERED, now, reason=reason)

    def on_cancel_answer(
        self, cancel: CancelRequest, answer: Accepted | Refused | Unknown, now: Now
    ) -> list[Effect]:
        """Take the answer to one cancel; also of an order that we never knew."""
        account = self.account
        order = account.orders.by_order(cancel.order_id)
        if order is None:
            return []
        order.answered_ns = now.ns
        if isinstance(answer, Accepted):
            account.counters["orders_cancelled"] += 1
            order.heard_ms = max(order.heard_ms, answer.venue_ms)
            if not answer.reduced_by_e2 or order.is_change_open:
                # It rests no more, but of what it was cancelled is not known, so neither is what was filled:
                # it stays open at its worst until feed or read says.
                order.look_up = order.is_live
                return self._apply(order, Evidence.CANCEL_NOT_DONE, now, reason="cancelled_from_unknown")
            # What was neither cancelled now nor known as filled was filled unheard.
            filled_e2 = max(0, order.total_e2 - answer.reduced_by_e2)
            return self._apply(order, Evidence.CANCEL_ACCEPTED, now, filled_e2=filled_e2)
        order.look_up = order.is_live
        code = answer.code if isinstance(answer, Refused) else answer.reason
        if isinstance(answer, Refused) and answer.code == "not_found":
            account.counters["cancel_not_found"] += 1
        return self._apply(order, Evidence.CANCEL_NOT_DONE, now, reason=code)

    # A venue that takes no connection, or a journal that refuses, answers at once: asking again as fast as
    # that would fill the journal with intents that go nowhere.
    def _pause_unsent(self, market: str, answer: NotSent, now: Now) -> None:
        if answer.reason != CANCEL_NOT_CONFIRMED:
            self._pause(market, now)

    def _pause(self, market: str, now: Now) -> None:
        count = self._pauses[market] = self._pauses.get(market, 0) + 1
        pause_ns = min(_PAUSE_MAX_NS, _PAUSE_MIN_NS << min(count - 1, 6))
        self.account.hold_until_ns[market] = now.ns + pause_ns

    def _on_dead_group(self, code: str, order: OwnOrder) -> list[Effect]:
        account = self.account
        if code not in _GROUP_DEAD or account.groups.get(order.shard) != order.order_group_id:
            return []
        # The fuse blew and the feed has not said so yet. A group that triggered is dead for ever.
        del account.groups[order.shard]
        return [account.take_over(f"order group of shard {order.shard} refused: {code}", is_fuse=True)]

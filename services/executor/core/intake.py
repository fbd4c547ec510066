"""Take evidence about orders and money, from every path it comes by.

Answers, the private feed, listings, fills and settlements all end here. Rules of
the file:

* Evidence is matched by our id first, by the venue's id second; what matches
  neither but carries our prefix is an orphan: counted, adopted and cancelled.
* Positions change by fills only, never by what an answer says was filled (D-003).
* An answer that leaves an order's fate open marks it for look-up; nothing is guessed.
* A listing that began before our last word about an order says nothing new of it,
  and none is trusted within the venue's read lag (kalshi-api 14.3, B-004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.common.domain.ids import parse_client_order_id
from libs.common.kalshi.model import (
    Accepted,
    Refused,
    Unknown,
    VenueFill,
    VenueOrder,
    VenueOrderStatus,
    VenueSettlement,
)
from libs.common.messages.execution import Action, OrderState
from services.executor.core.account import Account, Now
from services.executor.core.effects import Effect, Log, ReadFills, RecordFill, SendCancels
from services.executor.core.order_life import Evidence
from services.executor.core.orders import OwnOrder
from services.executor.core.requests import CancelRequest


@dataclass(frozen=True, slots=True)
class NotSent:
    """Proof that no byte left, with the guard's or the connection's word."""

    reason: str


Answer = Accepted | Refused | Unknown | NotSent

_GONE = ("not_found", "cannot_update_filled_order", "invalid_amend_qty_for_order")
_GROUP_DEAD = ("exceeded_order_group_risk_limit", "order_group_not_found", "order_group_triggered")
_PAUSE_MIN_NS = 100_000_000
_PAUSE_MAX_NS = 5_000_000_000


@dataclass(slots=True)
class Intake:
    """Applies evidence to an account.

    Attributes:
        env: Which client order ids are ours.
        read_lag_ns: A read that began sooner after our last word is not believed where it contradicts.
        misses_max: Clean listings in a row that prove an unknown create absent.
        absent_after_ns: And not before it has been unknown for so long.
    """

    account: Account
    env: str
    read_lag_ns: int = 1_000_000_000
    misses_max: int = 5
    absent_after_ns: int = 10_000_000_000
    booked_ns: int = 0
    """When a fill or settlement was last counted."""
    _pauses: dict[str, int] = field(default_factory=dict)

    # Answers ------------------------------------------------------------------------------------------

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
                account.counters["duplicates"] += 1
            order.heard_ms = max(order.heard_ms, answer.venue_ms)
            if answer.remaining_e2:
                evidence = Evidence.ACCEPTED_RESTING
            elif answer.filled_e2 >= order.total_e2:
                evidence = Evidence.ACCEPTED_FILLED
            else:
                evidence = Evidence.ACCEPTED_KILLED
            return self._apply(order, evidence, now, filled_e2=answer.filled_e2) + self._book_parked(
                order, now
            )
        if isinstance(answer, NotSent):
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
            # What was neither cancelled now nor known as filled was filled unheard.
            filled_e2 = max(0, order.total_e2 - answer.reduced_by_e2) if answer.reduced_by_e2 else None
            return self._apply(order, Evidence.CANCEL_ACCEPTED, now, filled_e2=filled_e2)
        order.look_up = order.is_live
        code = answer.code if isinstance(answer, Refused) else answer.reason
        if isinstance(answer, Refused) and answer.code == "not_found":
            account.counters["cancel_not_found"] += 1
        return self._apply(order, Evidence.CANCEL_NOT_DONE, now, reason=code)

    # The venue's own word -----------------------------------------------------------------------------

    def on_feed_order(self, told: VenueOrder, now: Now) -> list[Effect]:
        """Take an order message of the private feed."""
        order = self._find(told)
        if order is None:
            return self._on_stranger(told, now)
        if told.updated_ms and told.updated_ms < order.heard_ms:
            return (
                self._apply(order, Evidence.FILLED, now, filled_e2=told.filled_e2) if told.filled_e2 else []
            )
        order.heard_ms = max(order.heard_ms, told.updated_ms)
        return self._apply_told(order, told, Evidence.SEEN_RESTING, now)

    def on_read_order(self, told: VenueOrder, began_ns: int, now: Now) -> list[Effect]:
        """Take an order from a listing or a single read that began at ``began_ns``."""
        known = self.account.orders.by_client(told.client_order_id)
        was_nameless = known is not None and not known.order_id
        order = self._find(told)
        if order is None:
            return self._on_stranger(told, now)
        late = began_ns - max(order.asked_ns, order.answered_ns, 0) > self.read_lag_ns
        if not late and told.status is VenueOrderStatus.RESTING:
            # It may show what was before our last request; but it proves that an unknown create landed.
            if order.is_unknown and was_nameless:
                return self._apply(order, Evidence.SEEN_RESTING, now, filled_e2=told.filled_e2)
            return []
        if late and not order.is_live and told.status is VenueOrderStatus.RESTING:
            if began_ns - order.updated_ns <= 2 * self.read_lag_ns:
                return []
            self._count_orphan(told)
        order.look_up = False
        return self._apply_told(order, told, Evidence.LISTED_RESTING, now)

    def on_listing(
        self, told: Sequence[VenueOrder], began_ns: int, now: Now, *, markets: set[str] | None = None
    ) -> list[Effect]:
        """Take a whole listing of resting orders (of these markets, or of all).

        What it does not show although we think that it rests is looked up; an
        unknown create that it does not show has missed once more.
        """
        effects: list[Effect] = []
        for one in told:
            effects += self.on_read_order(one, began_ns, now)
        shown = {one.client_order_id for one in told} | {one.order_id for one in told}
        for order in list(self.account.orders.live()):
            if markets is not None and order.market not in markets:
                continue
            if order.client_order_id in shown or (order.order_id and order.order_id in shown):
                order.misses = 0
            elif began_ns - max(order.asked_ns, order.answered_ns, order.updated_ns) > self.read_lag_ns:
                effects += self._on_missing(order, began_ns, now)
        return effects

    def on_absent(self, order: OwnOrder, began_ns: int, now: Now) -> list[Effect]:
        """Take a read of every state of the order's market that does not show it."""
        if not order.is_unknown or order.order_id or order.booked_e2:
            return []
        order.misses += 1
        if order.misses < self.misses_max or began_ns - order.unknown_ns < self.absent_after_ns:
            return []
        return self._apply(order, Evidence.ABSENT, now, reason="never_arrived")

    def on_fill(self, fill: VenueFill, now: Now) -> list[Effect]:
        """Take a fill from the feed or a read; the second telling changes nothing."""
        account = self.account
        if account.positions.is_counted(fill):
            return []
        order = account.orders.by_order(fill.order_id)
        if order is None and fill.client_order_id:
            order = account.orders.by_client(fill.client_order_id)
            if order is not None:
                account.orders.name(order, fill.order_id)
        if order is None:
            identity = parse_client_order_id(fill.client_order_id)
            is_foreign = bool(fill.client_order_id) and (identity is None or identity.env != self.env)
            if not is_foreign and fill.order_id not in account.foreign:
                account.positions.park(fill)
                return [ReadFills(fill.order_id)]
        return self._book(fill, order, now)

    def on_settlement(self, settlement: VenueSettlement, now: Now) -> list[Effect]:
        """Take a settlement; one that does not fit our position waits for the missing fills."""
        account = self.account
        if account.positions.is_settled(settlement.market):
            return []
        if not account.positions.settle(settlement):
            return [ReadFills()]
        self.booked_ns = now.ns
        return [
            Log(
                "MARKET_SETTLED",
                fields={
                    "market": settlement.market,
                    "result": settlement.result,
                    "revenue_e6": settlement.revenue_e6,
                    "fee_e6": settlement.fee_e6,
                },
            ),
            *account.touched(settlement.market, now),
        ]

    def adopt(self, order: OwnOrder) -> None:
        """Take an order of an earlier epoch into the book, as recovery found it."""
        self.account.orders.add(order)

    def foreign_fills(self, order_id: str, now: Now) -> list[Effect]:
        """Book the parked fills of an order that is not ours: the account's position changed all the same."""
        self.account.foreign.add(order_id)
        effects: list[Effect] = []
        for fill in self.account.positions.unpark(order_id):
            effects += self._book(fill, None, now)
        return effects

    def missing_fills(self, now: Now) -> list[OwnOrder]:
        """Return the orders whose fills were told of but have not arrived for a read lag."""
        return [
            order
            for order in self.account.orders.all()
            if order.filled_e2 > order.booked_e2 and now.ns - order.updated_ns > self.read_lag_ns // 2
        ]

    # Below: how it is done ----------------------------------------------------------------------------

    def _find(self, told: VenueOrder) -> OwnOrder | None:
        account = self.account
        order = account.orders.by_client(told.client_order_id) if told.client_order_id else None
        order = order or account.orders.by_order(told.order_id)
        if order is not None and not account.orders.name(order, told.order_id):
            # One intent, two live orders at the venue: the thing that must never be.
            account.counters["duplicates"] += 1
            return None
        return order

    def _apply_told(self, order: OwnOrder, told: VenueOrder, resting: Evidence, now: Now) -> list[Effect]:
        parked = self._book_parked(order, now)
        if told.status is VenueOrderStatus.EXECUTED:
            return parked + self._apply(order, Evidence.SEEN_EXECUTED, now, filled_e2=told.filled_e2)
        if told.status is VenueOrderStatus.CANCELED:
            reason = told.reason or "cancelled"
            return parked + self._apply(
                order, Evidence.SEEN_CANCELLED, now, filled_e2=told.filled_e2, reason=reason
            )
        if told.status is not VenueOrderStatus.RESTING:
            order.look_up = order.is_live
            return parked
        if told.expires_ms is not None and order.state is not OrderState.AMEND_PENDING:
            order.expires_ms = told.expires_ms
        is_live = order.is_live or resting is Evidence.LISTED_RESTING or order.state is OrderState.REFUSED
        return parked + self._apply(
            order,
            resting,
            now,
            filled_e2=told.filled_e2,
            total_e2=told.filled_e2 + told.remaining_e2 if is_live else None,
            price_e4=told.price_e4 if is_live else None,
        )

    def _on_stranger(self, told: VenueOrder, now: Now) -> list[Effect]:
        identity = parse_client_order_id(told.client_order_id)
        if identity is None or identity.env != self.env:
            is_new = told.order_id not in self.account.foreign
            effects = self.foreign_fills(told.order_id, now)
            if is_new and told.status is VenueOrderStatus.RESTING:
                effects.append(
                    Log(
                        "ORDER_FOREIGN",
                        level="WARNING",
                        fields={"market": told.market, "order_id": told.order_id},
                    )
                )
            return effects
        # Ours by its name, unknown to this process: of an older epoch, or of a lost intent.
        order = OwnOrder(
            client_order_id=told.client_order_id,
            market=told.market,
            event=self.account.event_of(told.market),
            shard=told.shard,
            side=told.side,
            price_e4=told.price_e4,
            initial_e2=told.initial_e2,
            total_e2=told.filled_e2 + told.remaining_e2,
            epoch=identity.epoch,
            decision_id="",
            order_group_id=told.order_group_id,
            expires_ms=told.expires_ms or 0,
            state=OrderState.UNKNOWN,
            order_id=told.order_id,
        )
        if self.account.orders.by_client(told.client_order_id) is not None:
            # A second order under one id: it cannot be kept apart in the book, but it can be cancelled.
            self._count_orphan(told)
            return [
                SendCancels((CancelRequest(told.order_id, told.client_order_id, told.market, told.shard),))
            ]
        self.account.orders.add(order)
        effects = self._apply_told(order, told, Evidence.LISTED_RESTING, now)
        if told.status is VenueOrderStatus.RESTING:
            self._count_orphan(told)
            effects.append(
                Log(
                    "ORDER_ADOPTED",
                    level="WARNING",
                    fields={
                        "market": told.market,
                        "order_id": told.order_id,
                        "client_order_id": told.client_order_id,
                    },
                )
            )
        return effects

    def _count_orphan(self, told: VenueOrder) -> None:
        if told.order_id not in self.account.orphans:
            self.account.orphans[told.order_id] = told.remaining_e2
            self.account.counters["orphans"] += 1

    def _on_missing(self, order: OwnOrder, began_ns: int, now: Now) -> list[Effect]:
        if order.is_unknown and not order.order_id:
            return []  # `on_absent` counts reads of every state, not of resting orders only
        del began_ns, now
        order.look_up = True
        return []

    def _apply(
        self,
        order: OwnOrder,
        evidence: Evidence,
        now: Now,
        *,
        filled_e2: int | None = None,
        total_e2: int | None = None,
        price_e4: int | None = None,
        reason: str = "",
    ) -> list[Effect]:
        account = self.account
        changed = account.orders.apply(
            order,
            evidence,
            now.ns,
            filled_e2=filled_e2,
            total_e2=total_e2,
            price_e4=price_e4,
            reason=reason,
        )
        account.dirty.add(order.market)
        if not changed:
            return []
        return [account.order_effect(order), *account.touched(order.market, now)]

    def _book_parked(self, order: OwnOrder, now: Now) -> list[Effect]:
        effects: list[Effect] = []
        if order.order_id:
            for fill in self.account.positions.unpark(order.order_id):
                effects += self._book(fill, order, now)
        return effects

    def _book(self, fill: VenueFill, order: OwnOrder | None, now: Now) -> list[Effect]:
        account = self.account
        record = account.positions.book(fill, order)
        if record is None:
            return []
        self.booked_ns = now.ns
        effects: list[Effect] = [RecordFill(record)]
        if order is not None:
            order.booked_e2 += fill.qty_e2
            account.orders.apply(
                order, Evidence.FILLED, now.ns, filled_e2=max(order.filled_e2, order.booked_e2)
            )
            effects.append(account.order_effect(order))
        effects.append(
            Log(
                "FILL",
                fields={
                    "market": fill.market,
                    "side": fill.side.value,
                    "price_e4": fill.price_e4,
                    "qty_e2": fill.qty_e2,
                    "fee_e6": fill.fee_e6,
                    "is_taker": fill.is_taker,
                    "pnl_delta_e6": record.pnl_delta_e6,
                    "order_id": fill.order_id,
                    "trade_id": fill.trade_id,
                    "decision_id": record.decision_id,
                },
            )
        )
        return effects + account.touched(fill.market, now)

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
        return [account.take_over(f"order group of shard {order.shard} refused: {code}")]

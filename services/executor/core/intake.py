"""Take what the venue says by itself: the private feed, listings, fills, settlements.

Rules of the file:

* Evidence is matched by our id first, by the venue's id second; what matches
  neither but carries our prefix is an orphan: counted, adopted and cancelled.
* Positions change by fills only.
* A listing that began before our last word about an order says nothing new of it,
  and none is trusted within the venue's read lag (kalshi-api 14.3, B-004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.domain.ids import OrderIdentity, parse_client_order_id
from libs.common.kalshi.model import VenueFill, VenueOrder, VenueOrderStatus, VenueSettlement
from libs.common.messages.execution import FillV1, OrderState
from services.executor.core.account import Now
from services.executor.core.answers import Answers
from services.executor.core.effects import Effect, Log, ReadFills, RecordFill
from services.executor.core.order_life import Evidence
from services.executor.core.orders import OwnOrder


@dataclass(slots=True)
class Intake(Answers):
    """All evidence about one account's orders and money."""

    def on_feed_order(self, told: VenueOrder, now: Now) -> list[Effect]:
        """Take an order message of the private feed."""
        order = self._find(told)
        if order is None:
            return self._on_stranger(told, now)
        if told.updated_ms and told.updated_ms < order.heard_ms:
            return self._count_only(order, told, now)
        order.heard_ms = max(order.heard_ms, told.updated_ms)
        if order.is_unknown and _is_before_change(order, told):
            return self._count_only(order, told, now)
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
        if (
            order.is_live
            and told.status is VenueOrderStatus.RESTING
            and self._may_change_yet(order, told, began_ns)
        ):
            return self._count_only(order, told, now)
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
                order.misses = order.misses if order.is_change_open else 0
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

    def on_proof(self, order: OwnOrder, told: VenueOrder | None, now: Now) -> list[Effect]:
        """Take what reads show of an open order after its group was triggered and listings were clean.

        Nothing of it rests or can come any more. What the venue shows as ended it says itself; what it
        does not show never was, or if it once named it, has ended with the fills that were told.
        """
        if not order.is_live or (told is not None and told.status is VenueOrderStatus.RESTING):
            return []  # a read that still shows it resting lags: no proof
        if told is not None:
            if self._find(told) is not order:
                return []
            return self._apply_told(order, told, Evidence.SEEN_RESTING, now)
        if order.order_id:
            return self._apply(order, Evidence.SEEN_CANCELLED, now, reason="proven_ended")
        return self._apply(order, Evidence.ABSENT, now, reason="proven_absent")

    def on_fill(self, fill: VenueFill, now: Now) -> list[Effect]:
        """Take a fill from the feed or a read; the second telling changes nothing."""
        account = self.account
        if account.positions.is_counted(fill):
            return []
        order = account.orders.by_order(fill.order_id)
        if order is None and fill.client_order_id:
            order = account.orders.by_client(fill.client_order_id)
            if order is not None and not account.orders.name(order, fill.order_id):
                # It changed the position; the count of the order that we know is not its.
                is_new = fill.order_id not in account.second_ids
                second = self._on_second(order, fill.order_id, now, is_resting=is_new)
                return [*second, *self._book(fill, None, now)]
        if order is None:
            identity = parse_client_order_id(fill.client_order_id)
            if self._is_successors(identity):
                return [told for told in self._book(fill, None, now) if not isinstance(told, RecordFill)]
            is_foreign = bool(fill.client_order_id) and (identity is None or identity.env != self.env)
            is_known = fill.order_id in account.foreign or fill.order_id in account.second_ids
            if not is_foreign and not is_known:
                account.positions.park(fill)
                return [ReadFills(fill.order_id)]
        return self._book(fill, order, now)

    def on_journalled_fill(self, told: FillV1, now: Now) -> list[Effect]:
        """Count a fill that only the journal still knows: the venue's listings end after two weeks."""
        fill = VenueFill(
            trade_id=told.trade_id,
            order_id=told.order_id,
            client_order_id=told.client_order_id,
            market=told.market,
            shard=told.shard,
            side=told.side,
            price_e4=told.price_e4,
            qty_e2=told.qty_e2,
            fee_e6=told.fee_e6,
            is_taker=told.is_taker,
            venue_ms=told.venue_ms,
        )
        return self._book(fill, self.account.orders.by_order(fill.order_id), now)

    def on_settlement(self, settlement: VenueSettlement, now: Now) -> list[Effect]:
        """Take a settlement; one that does not fit our position waits for the missing fills.

        A newer record of the same market replaces the one counted: a result may be corrected.
        """
        account = self.account
        if not account.positions.is_news(settlement):
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

    def _find(self, told: VenueOrder) -> OwnOrder | None:
        account = self.account
        order = account.orders.by_client(told.client_order_id) if told.client_order_id else None
        order = order or account.orders.by_order(told.order_id)
        if order is not None and not account.orders.name(order, told.order_id):
            return None
        return order

    def _may_change_yet(self, order: OwnOrder, told: VenueOrder, began_ns: int) -> bool:
        """Return whether a change that was asked for may still come to be although the read does not show it.

        While its answer is awaited, always. Once it was given up, the venue may still act on it for a
        while: like an absence, that it came to nothing takes several reads and some seconds.
        """
        if order.is_unanswered:
            return True
        if not order.is_unknown or not _is_before_change(order, told):
            return False
        order.misses += 1
        return order.misses < self.misses_max or began_ns - order.unknown_ns < self.absent_after_ns

    def _count_only(self, order: OwnOrder, told: VenueOrder, now: Now) -> list[Effect]:
        effects = self._book_parked(order, now)
        if told.filled_e2 > order.filled_e2:
            effects += self._apply(order, Evidence.FILLED, now, filled_e2=told.filled_e2)
        return effects

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
        if self._is_successors(identity):
            return self._on_successor(told, identity.epoch, now)
        if (held := self.account.orders.by_client(told.client_order_id)) is not None:
            return self._on_second(
                held, told.order_id, now, is_resting=told.status is VenueOrderStatus.RESTING
            )
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

    # A leader that slept through a takeover hears of its successor's orders before its next renewal tells
    # it that it lost. They are neither its orphans nor its to record: a fill that it journalled would shadow
    # the successor's record of the same fill, which knows the decision.
    def _is_successors(self, identity: OrderIdentity | None) -> bool:
        return (
            identity is not None and identity.env == self.env and identity.epoch > self.account.journal.epoch
        )

    def _on_successor(self, told: VenueOrder, epoch: int, now: Now) -> list[Effect]:
        is_new = told.order_id not in self.account.foreign
        effects: list[Effect] = [
            effect for effect in self.foreign_fills(told.order_id, now) if not isinstance(effect, RecordFill)
        ]
        if is_new:
            effects.append(
                Log("EPOCH", f"saw an order of epoch {epoch}", "WARNING", {"order_id": told.order_id})
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


def _is_before_change(order: OwnOrder, told: VenueOrder) -> bool:
    # The order rests as it was before the change whose fate is not known.
    if not order.is_change_open or told.status is not VenueOrderStatus.RESTING:
        return False
    price_e4 = order.price_e4 if order.pending_price_e4 is None else order.pending_price_e4
    return (told.price_e4, told.filled_e2 + told.remaining_e2) != (price_e4, order.pending_total_e2)

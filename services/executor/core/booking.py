"""Apply one piece of evidence to one order, and count fills: the ground that all evidence stands on."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.kalshi.model import VenueFill
from services.executor.core.account import Account, Now
from services.executor.core.effects import Effect, Log, RecordFill, SendCancels
from services.executor.core.order_life import Evidence
from services.executor.core.orders import OwnOrder
from services.executor.core.requests import CancelRequest


@dataclass(slots=True)
class Booking:
    """Changes an account's orders and positions, and says what everyone must hear.

    Attributes:
        env: Which client order ids are ours.
        read_lag_ns: A read that began sooner after our last word is not believed where it contradicts.
        misses_max: Clean listings in a row that prove an unknown create absent.
        absent_after_ns: And not before it has been unknown for so long.
        booked_ns: When a fill or settlement was last counted.
    """

    account: Account
    env: str
    read_lag_ns: int = 1_000_000_000
    misses_max: int = 5
    absent_after_ns: int = 10_000_000_000
    booked_ns: int = 0

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

    def _on_second(self, order: OwnOrder, order_id: str, now: Now, *, is_resting: bool) -> list[Effect]:
        """One intent, two orders at the venue: the thing that must never be. The second one goes.

        It has no place in the book, where our id names the first; its fills change the position all the same.
        """
        account, effects = self.account, list[Effect]()
        if is_resting:
            cancel = CancelRequest(order_id, order.client_order_id, order.market, order.shard)
            effects.append(SendCancels((cancel,)))
        if order_id not in account.second_ids:
            account.second_ids.add(order_id)
            account.counters["duplicates"] += 1
            fields = {
                "market": order.market,
                "client_order_id": order.client_order_id,
                "order_id": order.order_id,
                "second_order_id": order_id,
            }
            effects.append(Log("ORDER_DUPLICATE", level="ERROR", fields=fields))
        for fill in account.positions.unpark(order_id):
            effects += self._book(fill, None, now)
        return effects

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
        account.filled_ns[fill.market] = now.ns
        effects: list[Effect] = [RecordFill(record)]
        if order is not None:
            order.booked_e2 += fill.qty_e2
            order.paid_e6 += fill.price_e4 * fill.qty_e2
            order.fees_e6 += fill.fee_e6
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

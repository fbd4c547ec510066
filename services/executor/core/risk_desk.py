"""Keep what the account could lose summed up, so that a view costs one event's work.

Each market keeps its two losses, each event the worst of its states (`exposure.py`),
the account the sum over its events. An event counts as exclusive only while every
market of it that we are in is known to be; one unknown flag and their worst cases add
up. Counts of contracts and orders and the cash that orders hold back are kept alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from libs.common.domain.grid import PriceGrid
from libs.common.risk.exposure import Open, tally
from libs.common.risk.model import Order, RiskView
from services.executor.core.event_sums import NOTHING, EventSums, MarketSums
from services.executor.core.pace import Pace
from services.executor.core.shard_cash import ShardCash


class Holding(msgspec.Struct, frozen=True):
    """What the desk is told of one market.

    Attributes:
        position_e2: Signed position from counted fills.
        cost_e6: What the open leg cost.
        opened: Everything that may still fill.
        shard: Where its collateral is, None while unknown.
        is_exclusive: Whether at most one market of its event ends at YES, None while unknown.
        cash_e6: What its fills and settlements brought in all; negative was paid.
    """

    position_e2: int
    cost_e6: int
    opened: Sequence[Open]
    shard: int | None = None
    is_exclusive: bool | None = None
    cash_e6: int = 0


class Reference(msgspec.Struct, frozen=True, gc=False):
    """A price to judge by: E4, and its age in exchange time, either way."""

    price_e4: float | None = None
    age_ms: int | None = None


_NO_EVENT = EventSums()


@dataclass(slots=True)
class RiskDesk:
    """Exposure of the account, its events and markets; its cash; and how fast orders go out."""

    cash: ShardCash = field(default_factory=ShardCash)
    _markets: dict[str, MarketSums] = field(default_factory=dict)
    _events: dict[str, EventSums] = field(default_factory=dict)
    _account_e6: int = 0
    _contracts_e2: int = 0
    _orders: int = 0
    _reserved_e6: Counter[int | None] = field(default_factory=Counter)
    _quotes: Pace = field(default_factory=Pace)
    _exits: Pace = field(default_factory=Pace)

    def refresh(self, market: str, event: str, holding: Holding, now_ns: int = 0) -> None:
        """Count a market anew after its orders, its position or what is known of it changed."""
        was = self._markets.get(market, NOTHING)
        total = tally(holding.position_e2, holding.cost_e6, holding.opened)
        sums = MarketSums(
            event,
            holding.is_exclusive,
            (total.if_yes_e6, total.if_no_e6),
            total.contracts_e2,
            len(holding.opened),
            holding.shard,
            total.reserve_e6,
            holding.cash_e6,
        )
        self.cash.on_flow(holding.shard, holding.cash_e6 - was.cash_e6, now_ns)
        self._contracts_e2 += sums.contracts_e2 - was.contracts_e2
        self._orders += sums.orders - was.orders
        self._reserved_e6[was.shard] -= was.reserve_e6
        self._reserved_e6[sums.shard] += sums.reserve_e6
        self._markets[market] = sums
        before = self._events.get(was.event) if was.event != event else None
        now = self._events.setdefault(event, EventSums())
        self._account_e6 -= now.worst_e6
        now.put(market, sums)
        self._account_e6 += now.worst_e6
        if before is not None:
            # Its event was guessed until somebody told.
            self._account_e6 -= before.worst_e6
            before.remove(market)
            self._account_e6 += before.worst_e6

    @property
    def account_e6(self) -> int:
        """Return the account's worst-case loss: the sum over its events."""
        return self._account_e6

    def event_e6(self, event: str) -> int:
        """Return the event's worst-case loss over the states that can happen."""
        return self._events[event].worst_e6 if event in self._events else 0

    def passed(self, order: Order, now_ns: int) -> None:
        """Note that an order was let through."""
        (self._exits if order.is_exit else self._quotes).passed(order, now_ns)

    def view(
        self,
        order: Order,
        holding: Holding,
        now_ns: int,
        *,
        grid: PriceGrid | None,
        reference: Reference,
        is_counted: bool = False,
    ) -> RiskView:
        """Return the account as this order meets it.

        Args:
            order: What is asked for.
            holding: Its market, without an order that it replaces.
            now_ns: Our monotonic clock.
            grid: The market's grid, None while unknown.
            reference: What its price is judged by.
            is_counted: True for an order that was let through before: it is no reason against itself.
        """
        was = self._markets.get(order.market, NOTHING)
        total = tally(holding.position_e2, holding.cost_e6, holding.opened)
        event = self._events.get(order.event, _NO_EVENT)
        in_event = was if was.event == order.event else NOTHING
        others = event.others(order.market, in_event)
        if others.is_exclusive and not holding.is_exclusive:
            others = msgspec.structs.replace(others, is_exclusive=False)
        pace, twice = (self._exits if order.is_exit else self._quotes), int(is_counted)
        reserved_e6 = self._reserved_e6[holding.shard] + total.reserve_e6
        if was.shard == holding.shard:
            reserved_e6 -= was.reserve_e6
        same_price = [o for o in holding.opened if o.side is order.side and o.price_e4 == order.price_e4]
        return RiskView(
            position_e2=holding.position_e2,
            bid_open_e2=total.bid_e2,
            ask_open_e2=total.ask_e2,
            loss_if_yes_e6=total.if_yes_e6,
            loss_if_no_e6=total.if_no_e6,
            event=others,
            account_others_e6=self._account_e6 - event.worst_e6,
            event_contracts_others_e2=event.contracts_e2 - in_event.contracts_e2,
            account_contracts_others_e2=self._contracts_e2 - was.contracts_e2,
            market_orders=len(holding.opened),
            account_orders=self._orders - was.orders + len(holding.opened),
            own_bid_max_e4=total.bid_max_e4,
            own_ask_min_e4=total.ask_min_e4,
            same_price_open=len(same_price),
            reference_e4=reference.price_e4,
            reference_age_ms=reference.age_ms,
            grid=grid,
            free_e6=self.cash.free_e6(holding.shard, reserved_e6),
            cash_e6=self.cash.total_e6,
            balance_age_ms=self.cash.age_ms(now_ns),
            orders_last_s=max(0, pace.orders_last_s(now_ns) - twice),
            notional_last_minute_e6=max(0, pace.notional_last_minute_e6(now_ns) - twice * order.cost_e6),
            repeated_last_s=max(0, pace.repeated_last_s(order, now_ns) - twice),
        )

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

from libs.common.domain.grid import PriceGrid
from libs.common.domain.side import Side
from libs.common.risk.exposure import EventLoss, Open, losses_e6, reserve_e6
from libs.common.risk.model import Order, RiskView
from services.executor.core.pace import Pace
from services.executor.core.shard_cash import ShardCash


@dataclass(frozen=True, slots=True)
class Holding:
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


@dataclass(frozen=True, slots=True)
class Reference:
    """A price to judge by: E4, and its age in exchange time, either way."""

    price_e4: float | None = None
    age_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Sums:
    event: str = ""
    is_exclusive: bool | None = None
    losses_e6: tuple[int, int] = (0, 0)
    contracts_e2: int = 0
    orders: int = 0
    shard: int | None = None
    reserve_e6: int = 0
    cash_e6: int = 0


_NOTHING = _Sums()


@dataclass(slots=True)
class RiskDesk:
    """Exposure of the account, its events and markets; its cash; and how fast orders go out."""

    cash: ShardCash = field(default_factory=ShardCash)
    _markets: dict[str, _Sums] = field(default_factory=dict)
    _events: dict[str, dict[str, _Sums]] = field(default_factory=dict)
    _event_e6: dict[str, int] = field(default_factory=dict)
    _account_e6: int = 0
    _contracts_e2: int = 0
    _orders: int = 0
    _reserved_e6: Counter[int | None] = field(default_factory=Counter)
    _quotes: Pace = field(default_factory=Pace)
    _exits: Pace = field(default_factory=Pace)

    def refresh(self, market: str, event: str, holding: Holding, now_ns: int = 0) -> None:
        """Count a market anew after its orders, its position or what is known of it changed."""
        was = self._markets.get(market, _NOTHING)
        sums = _Sums(
            event,
            holding.is_exclusive,
            losses_e6(holding.position_e2, holding.cost_e6, holding.opened),
            _contracts_e2(holding),
            len(holding.opened),
            holding.shard,
            reserve_e6(holding.position_e2, holding.opened),
            holding.cash_e6,
        )
        self.cash.on_flow(holding.shard, holding.cash_e6 - was.cash_e6, now_ns)
        self._contracts_e2 += sums.contracts_e2 - was.contracts_e2
        self._orders += sums.orders - was.orders
        self._reserved_e6[was.shard] -= was.reserve_e6
        self._reserved_e6[sums.shard] += sums.reserve_e6
        self._markets[market] = sums
        if was is not _NOTHING and was.event != event:
            del self._events[was.event][market]
            self._recount(was.event)
        self._events.setdefault(event, {})[market] = sums
        self._recount(event)

    @property
    def account_e6(self) -> int:
        """Return the account's worst-case loss: the sum over its events."""
        return self._account_e6

    def event_e6(self, event: str) -> int:
        """Return the event's worst-case loss over the states that can happen."""
        return self._event_e6.get(event, 0)

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
        was = self._markets.get(order.market, _NOTHING)
        bids = [one for one in holding.opened if one.side is Side.BID]
        asks = [one for one in holding.opened if one.side is Side.ASK]
        same = bids if order.side is Side.BID else asks
        others = self._others(order)
        if_yes, if_no = losses_e6(holding.position_e2, holding.cost_e6, holding.opened)
        pace, twice = (self._exits if order.is_exit else self._quotes), int(is_counted)
        shard_was_e6 = was.reserve_e6 if was.shard == holding.shard else 0
        reserved_e6 = self._reserved_e6[holding.shard] - shard_was_e6
        reserved_e6 += reserve_e6(holding.position_e2, holding.opened)
        return RiskView(
            position_e2=holding.position_e2,
            bid_open_e2=sum(one.qty_e2 for one in bids),
            ask_open_e2=sum(one.qty_e2 for one in asks),
            loss_if_yes_e6=if_yes,
            loss_if_no_e6=if_no,
            event=EventLoss.of(
                (sums.losses_e6 for sums in others),
                is_exclusive=bool(holding.is_exclusive) and all(sums.is_exclusive for sums in others),
            ),
            account_others_e6=self._account_e6 - self._event_e6.get(order.event, 0),
            event_contracts_others_e2=sum(sums.contracts_e2 for sums in others),
            account_contracts_others_e2=self._contracts_e2 - was.contracts_e2,
            market_orders=len(holding.opened),
            account_orders=self._orders - was.orders + len(holding.opened),
            own_bid_max_e4=max((one.price_e4 for one in bids), default=None),
            own_ask_min_e4=min((one.price_e4 for one in asks), default=None),
            same_price_open=sum(one.price_e4 == order.price_e4 for one in same),
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

    def _others(self, order: Order) -> list[_Sums]:
        event = self._events.get(order.event, {})
        return [sums for market, sums in event.items() if market != order.market]

    def _recount(self, event: str) -> None:
        markets = self._events[event].values()
        is_exclusive = all(sums.is_exclusive for sums in markets)
        loss = EventLoss.of((sums.losses_e6 for sums in markets), is_exclusive=is_exclusive)
        worst_e6 = loss.with_market_e6(0, 0)
        self._account_e6 += worst_e6 - self._event_e6.get(event, 0)
        self._event_e6[event] = worst_e6


def _contracts_e2(holding: Holding) -> int:
    bid_e2 = sum(one.qty_e2 for one in holding.opened if one.side is Side.BID)
    ask_e2 = sum(one.qty_e2 for one in holding.opened if one.side is Side.ASK)
    return max(holding.position_e2 + bid_e2, ask_e2 - holding.position_e2)

"""What reads show: the present, or the state of a moment ago.

After a cancel was acknowledged the demo exchange still listed the order as
resting 360 ms later (kalshi-api 14.3). With a lag set, orders, fills, positions
and balances are answered as they stood that long ago; writes and the feed
always tell the present.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from libs.common.domain.ledger import Position
from services.simexchange.core.accounts import Account
from services.simexchange.core.events import Event, Filled, OrderChanged, PositionChanged
from services.simexchange.core.orders import Order

T = TypeVar("T")


@dataclass(slots=True)
class History(Generic[T]):
    """Values with the time from which each held, oldest first."""

    times_ns: list[int] = field(default_factory=list)
    values: list[T] = field(default_factory=list)

    def put(self, value: T, now_ns: int) -> None:
        """Note that the value holds from now on."""
        self.times_ns.append(now_ns)
        self.values.append(value)

    def at(self, then_ns: int) -> T | None:
        """Return the value that held then, or None if there was none yet."""
        place = bisect.bisect_right(self.times_ns, then_ns)
        return self.values[place - 1] if place else None


@dataclass(frozen=True, slots=True)
class PositionRead:
    """One market position as reads show it."""

    market: str
    position: Position
    traded_e6: int
    updated_ns: int


class ReadView:
    """Answers reads ``lag_ns`` late; keeps history only while there is a lag."""

    def __init__(self, lag_ns: int = 0) -> None:
        self.lag_ns = lag_ns
        self._orders: dict[str, History[Order]] = {}
        self._positions: dict[tuple[str, str], History[PositionRead]] = {}
        self._cash: dict[str, History[dict[int, int]]] = {}

    @property
    def is_lagging(self) -> bool:
        """Return whether changes must be recorded."""
        return self.lag_ns > 0

    def set_lag(self, lag_ns: int, accounts: Iterable[Account]) -> None:
        """Change the lag; what is there now counts as having been there always."""
        self.lag_ns = lag_ns
        self._orders.clear()
        self._positions.clear()
        self._cash.clear()
        if lag_ns:
            for account in accounts:
                self.baseline(account)

    def forget(self, order_id: str) -> None:
        """Drop an order's past."""
        self._orders.pop(order_id, None)

    def baseline(self, account: Account) -> None:
        """Take the account's present state as its oldest."""
        for order in account.orders.values():
            self._orders.setdefault(order.order_id, History()).put(order.copy(), 0)
        for market in account.positions:
            self._positions.setdefault((account.name, market), History()).put(_read(account, market), 0)
        self._cash.setdefault(account.name, History()).put(dict(account.cash_e6), 0)

    def record(self, event: Event, now_ns: int, accounts: Mapping[str, Account]) -> None:
        """Note what an event changed."""
        match event:
            case OrderChanged():
                self._orders.setdefault(event.order.order_id, History()).put(event.order, now_ns)
            case PositionChanged():
                account = accounts[event.account]
                key = (event.account, event.market)
                self._positions.setdefault(key, History()).put(_read(account, event.market), now_ns)
                self._cash.setdefault(event.account, History()).put(dict(account.cash_e6), now_ns)
            case _:
                pass

    def note_cash(self, account: Account, now_ns: int) -> None:
        """Note cash that moved without a trade."""
        if self.lag_ns:
            self._cash.setdefault(account.name, History()).put(dict(account.cash_e6), now_ns)

    def orders(self, account: Account, now_ns: int) -> list[Order]:
        """Return all orders as reads show them, oldest first."""
        if not self.lag_ns:
            return list(account.orders.values())
        then_ns = now_ns - self.lag_ns
        seen = (self._orders[i].at(then_ns) for i in account.orders if i in self._orders)
        return [order for order in seen if order is not None]

    def order(self, account: Account, order_id: str, now_ns: int) -> Order | None:
        """Return one order as reads show it, or None."""
        order = account.orders.get(order_id)
        if order is None or not self.lag_ns:
            return order
        history = self._orders.get(order_id)
        return history.at(now_ns - self.lag_ns) if history is not None else None

    def fills(self, account: Account, now_ns: int) -> list[Filled]:
        """Return the fills that reads show, oldest first."""
        if not self.lag_ns:
            return account.fills
        then_ns = now_ns - self.lag_ns
        return [fill for fill in account.fills if fill.venue_ns <= then_ns]

    def positions(self, account: Account, now_ns: int) -> list[PositionRead]:
        """Return all positions as reads show them."""
        if not self.lag_ns:
            return [_read(account, market) for market in account.positions]
        then_ns = now_ns - self.lag_ns
        keys = [(account.name, market) for market in account.positions]
        seen = (self._positions[key].at(then_ns) for key in keys if key in self._positions)
        return [read for read in seen if read is not None]

    def cash_e6(self, account: Account, now_ns: int) -> dict[int, int]:
        """Return the cash by shard as reads show it."""
        history = self._cash.get(account.name)
        if not self.lag_ns or history is None:
            return account.cash_e6
        return history.at(now_ns - self.lag_ns) or account.cash_e6


def _read(account: Account, market: str) -> PositionRead:
    return PositionRead(
        market,
        replace(account.positions[market]),
        account.traded_e6[market],
        account.position_updated_ns.get(market, 0),
    )

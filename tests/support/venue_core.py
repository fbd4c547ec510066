"""The venue's core without any shell: two traders, one market, a clock that is an argument."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from services.simexchange.core.collateral import CollateralPolicy
from services.simexchange.core.events import Event, OrderChanged
from services.simexchange.core.fifo_book import FifoBook
from services.simexchange.core.markets import EventSpec, Market, MarketSpec, SeriesSpec
from services.simexchange.core.orders import Order, SelfTradePrevention, TimeInForce
from services.simexchange.core.requests import CreateRequest, OrderRef, Placed, Reduced, Rejection
from services.simexchange.core.venue import Venue

START_NS = 1_800_000_000_000_000_000
NS_PER_S = 1_000_000_000
MARKET = "S-E-M"
OTHER_MARKET = "S-E-N"
SHARD_MARKET = "T-E-M"
IOC = TimeInForce.IMMEDIATE_OR_CANCEL
FOK = TimeInForce.FILL_OR_KILL
STP_MAKER = SelfTradePrevention.MAKER


@dataclass
class Pit:
    """A venue with a series, two markets on shard 0 and one on shard 2, and two accounts."""

    cash_e6: int = 1_000_000_000
    seconds: int = 1000
    policy: CollateralPolicy = CollateralPolicy.SUM
    fee_type: str = "quadratic"
    settlement_timer_s: float = 10
    now_ns: int = START_NS
    venue: Venue = field(init=False)

    def __post_init__(self) -> None:
        self.venue = Venue(chance=random.Random(3), seed=3, collateral=self.policy)
        for account in ("alice", "bob"):
            self.venue.add_account(account, cash_by_shard={0: self.cash_e6}, now_ns=self.now_ns)
        self.venue.add_series(SeriesSpec("S", "Series", fee_type=self.fee_type))
        self.venue.add_event(EventSpec("S-E", "S", "Event"), self.now_ns)
        self.venue.add_series(SeriesSpec("T", "Other shard"))
        self.venue.add_event(EventSpec("T-E", "T", "Event", shard=2), self.now_ns)
        for market in (MARKET, OTHER_MARKET, SHARD_MARKET):
            self.list_market(market)

    def list_market(self, market: str, **changes: object) -> Market:
        """List another cent market that opens now."""
        facts: dict[str, object] = {
            "market": market,
            "event": market.rpartition("-")[0],
            "title": market,
            "grid": grid_of_steps((0, 10_000, 100)),
            "open_ns": self.now_ns,
            "close_ns": self.now_ns + self.seconds * NS_PER_S,
            "settlement_timer_s": self.settlement_timer_s,
        }
        return self.venue.add_market(MarketSpec(**(facts | changes)), FifoBook(), self.now_ns)  # type: ignore[arg-type]

    @property
    def market(self) -> Market:
        """Return the market that most tests use."""
        return self.venue.markets[MARKET]

    def wait(self, seconds: float) -> None:
        """Let time pass and do what becomes due."""
        self.now_ns += int(seconds * NS_PER_S)
        self.venue.advance(self.now_ns)

    def send(
        self, account: str, side: Side, price_e4: int, qty_e2: int = 100, **rest: Any
    ) -> Placed | Rejection:
        """Place an order and return the answer."""
        market = str(rest.pop("market", MARKET))
        request = CreateRequest(market, side, price_e4, qty_e2, **rest)
        return self.venue.create(account, request, self.now_ns)

    def place(self, account: str, side: Side, price_e4: int, qty_e2: int = 100, **rest: Any) -> Order:
        """Place an order that must be accepted and return it."""
        placed = self.send(account, side, price_e4, qty_e2, **rest)
        assert isinstance(placed, Placed), placed
        return self.venue.floor.orders[placed.order_id]

    def bid(self, account: str, price_e4: int, qty_e2: int = 100, **rest: Any) -> Order:
        """Place a bid that must be accepted."""
        return self.place(account, Side.BID, price_e4, qty_e2, **rest)

    def ask(self, account: str, price_e4: int, qty_e2: int = 100, **rest: Any) -> Order:
        """Place an ask that must be accepted."""
        return self.place(account, Side.ASK, price_e4, qty_e2, **rest)

    def cancel(self, account: str, order: Order) -> Reduced | Rejection:
        """Cancel an order."""
        return self.venue.cancel(account, OrderRef(order.order_id, exchange_index=order.shard), self.now_ns)

    def cash(self, account: str, shard: int = 0) -> int:
        """Return an account's cash."""
        return self.venue.accounts[account].cash_e6[shard]

    def position(self, account: str, market: str = MARKET) -> int:
        """Return an account's signed position."""
        return self.venue.accounts[account].positions[market].qty_e2

    def events(self, kind: type[Event] | None = None) -> list[Event]:
        """Return what happened since the last look (of one kind)."""
        drained = self.venue.drain()
        return [event for event in drained if kind is None or isinstance(event, kind)]

    def reasons(self, order: Order) -> list[str]:
        """Return the reasons told of an order since the last look."""
        return [
            event.reason.value
            for event in self.events()
            if isinstance(event, OrderChanged) and event.order.order_id == order.order_id
        ]


def code(answer: object) -> str:
    """Return the code of a refusal that must be one."""
    assert isinstance(answer, Rejection), answer
    return answer.code

"""The real reconciler's core and the real exchange's core in one process, under a clock that is an argument.

Between them stand three channels, each with a lens through which it can be made
to lie: what the executor writes, what the private feed says (as bytes, through
the venue's own subscriptions and the reconciler's own parser), what a listing
shows. Without a lens all three tell the truth, and the record of what was written
is the truth to go back to.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from libs.common.domain.ids import parse_client_order_id
from libs.common.domain.side import Side
from libs.common.env import Env
from libs.common.kalshi import wire_account, wire_orders
from libs.common.kalshi.model import VenueBalance, VenueSettlement
from libs.common.messages.base import Wire
from libs.common.messages.execution import EpochV1, FillV1, OrderState, OrderV1, PositionV1, RenewV1
from libs.common.messages.risk import DriftV1, OrphanedOrderV1, ReconResultV1
from services.reconciler.config import Timing
from services.reconciler.core.core import ReconcilerCore
from services.reconciler.core.effects import AskCancel, Effect, Halt, Log, Publish, Read, Record
from services.reconciler.core.listing_view import Listing
from services.reconciler.core.own_session import OwnSession
from services.reconciler.wiring import patience
from services.simexchange.core.channels import Hub
from services.simexchange.core.events import Event, Filled, OrderChanged, PositionChanged
from services.simexchange.core.orders import Order, OrderStatus
from services.simexchange.core.requests import OrderRef
from services.simexchange.shell import bodies_out
from tests.support.truth_builders import client_id
from tests.support.venue_core import IOC, MARKET, NS_PER_S, OTHER_MARKET, START_NS, Pit

US, THEM = "alice", "bob"
MARKETS = (MARKET, OTHER_MARKET)
MS = 1_000_000
STEP_S = 0.25
FAR_PRICES = (600, 9_400)
"""Where an order rests that nobody crosses."""
_STATES = {
    OrderStatus.RESTING: OrderState.RESTING,
    OrderStatus.EXECUTED: OrderState.EXECUTED,
    OrderStatus.CANCELED: OrderState.CANCELLED,
}

Frame = dict[str, Any]


def honest(message: Any) -> Iterable[Any]:
    """Let a message through as it is."""
    return (message,)


def honest_listing(listing: Listing) -> Listing:
    """Show a listing as it is."""
    return listing


@dataclass
class TruthWorld:
    """One account at one venue, compared in the default timing but for the time a new leader may take."""

    chance: random.Random
    timing: Timing = field(default_factory=lambda: Timing(recovery_ms=5_000))
    pit: Pit = field(default_factory=lambda: Pit(seconds=100_000, settlement_timer_s=1))
    executor_lens: Callable[[Wire], Iterable[Wire]] = honest
    feed_lens: Callable[[Frame], Iterable[Frame]] = honest
    listing_lens: Callable[[Listing], Listing] = honest_listing
    record: list[Wire] = field(default_factory=list)
    """What an honest executor wrote, oldest first."""
    results: list[ReconResultV1] = field(default_factory=list)
    halts: list[Halt] = field(default_factory=list)
    alerts: list[Log] = field(default_factory=list)
    rows: list[OrphanedOrderV1] = field(default_factory=list)
    core: ReconcilerCore = field(init=False)

    def __post_init__(self) -> None:
        self._ids = 0
        self._sequence = 0
        self._versions: dict[str, int] = {}
        self._positions: dict[str, int] = dict.fromkeys(MARKETS, 0)
        self._position_sequence = 0
        self.pit.venue.drain()
        self.genesis_ms = self.now_ms
        self.genesis_e6 = sum(self.pit.venue.accounts[US].cash_e6.values())
        self.start()

    # The clock -------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """Return the exchange's wall time."""
        return self.pit.now_ns // MS

    @property
    def now_ns(self) -> int:
        """Return monotonic time."""
        return self.pit.now_ns - START_NS + 1_000 * NS_PER_S

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Let time pass, or until something is true; return how much did."""
        steps = round(seconds / STEP_S)
        for done in range(steps):
            if until():
                return done * STEP_S
            self.pit.wait(STEP_S)
            self.pump()
            self._live()
            self._perform(self.core.on_tick(self.now_ns))
        return steps * STEP_S

    # The reconciler --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a reconciler anew: it reads the record, connects its feed and lists from the beginning."""
        self.core = ReconcilerCore("main", Env.SIM, patience(self.timing))
        self.hub = Hub(self.pit.venue)
        self.session = self.hub.open(US)
        self.feed = OwnSession()
        for row in self.rows:
            self.core.on_orphan_stored(row)
        epoch = EpochV1(
            account="main",
            number=1,
            holder="executor",
            run="run",
            build="b",
            config_hash="c",
            started_ns=0,
            genesis_balance_e6=self.genesis_e6,
            genesis_ms=self.genesis_ms,
        )
        self._sequence = 1
        self.core.on_epoch(epoch, self._sequence, self.now_ns)
        for message in self.record:
            self._tell(message)
        self._send(self.feed.open())
        self._hear()
        self._live()
        self._perform(self.core.on_replayed(self.now_ns))

    def heal(self) -> None:
        """Take every lens away and start anew: what an operator does once the cause is mended."""
        self.honest()
        self.pump()
        self.start()

    def honest(self) -> None:
        """Take every lens away."""
        self.executor_lens, self.feed_lens, self.listing_lens = honest, honest, honest_listing

    @property
    def drifts(self) -> list[DriftV1]:
        """Return the drifts of the newest result."""
        return list(self.results[-1].drifts) if self.results else []

    def is_open(self) -> bool:
        """Return whether the permit is open."""
        return self.core.permit(self.now_ns)[0]

    # The account -----------------------------------------------------------------------------------

    def rest(self, side: Side | None = None, market: str | None = None, qty_e2: int = 500) -> Order:
        """Place an order of ours that nobody will cross."""
        side = side or self.chance.choice(list(Side))
        price_e4 = FAR_PRICES[0 if side is Side.BID else 1] + 100 * self.chance.randint(-4, 4)
        return self.place(side, price_e4, market or self.chance.choice(MARKETS), qty_e2)

    def rest_as(self, client_order_id: str) -> Order:
        """Place an order of this name that nobody will cross; whose it is, its name says."""
        side = self.chance.choice(list(Side))
        price_e4 = FAR_PRICES[0 if side is Side.BID else 1]
        return self.place(side, price_e4, self.chance.choice(MARKETS), 500, client_order_id=client_order_id)

    def place(self, side: Side, price_e4: int, market: str, qty_e2: int, **rest: Any) -> Order:
        """Place an order of ours."""
        rest.setdefault("client_order_id", self.next_id())
        order = self.pit.place(US, side, price_e4, qty_e2, market=market, **rest)
        self.pump()
        return order

    def next_id(self, epoch: int = 1) -> str:
        """Return a client order id of ours that was never used."""
        self._ids += 1
        return client_id(self._ids, epoch)

    def filled(
        self, market: str | None = None, qty_e2: int | None = None, client_order_id: str | None = None
    ) -> Order:
        """Let an order of ours trade with somebody else's, as maker or as taker, and return it."""
        market = market or self.chance.choice(MARKETS)
        qty_e2 = qty_e2 or self.chance.randrange(50, 500)
        side, price_e4 = self.chance.choice(list(Side)), 100 * self.chance.randrange(40, 60)
        named = {"client_order_id": client_order_id or self.next_id()}
        if self.chance.random() < 0.5:
            order = self.place(side, price_e4, market, 2 * qty_e2, **named)
            self.pit.place(THEM, side.opposite, price_e4, qty_e2, market=market, tif=IOC)
        else:
            self.pit.place(THEM, side.opposite, price_e4, qty_e2, market=market)
            order = self.place(side, price_e4, market, qty_e2, tif=IOC, **named)
        self.pump()
        if order.is_resting:
            self.cancel(order)
        return order

    def cancel(self, order: Order) -> None:
        """Cancel an order of ours."""
        self.pit.cancel(US, order)
        self.pump()

    def trade_honestly(self, deeds: int) -> None:
        """Do this many things with random pauses."""
        resting: list[Order] = []
        for _ in range(deeds):
            deed = self.chance.random()
            if deed < 0.5:
                self.filled()
            elif deed < 0.8 or not resting:
                resting.append(self.rest())
            else:
                self.cancel(resting.pop())
            self.run(STEP_S * self.chance.randint(0, 6))

    def settle(self, market: str, result: str = "yes") -> None:
        """Close a market and pay it out."""
        now_ns = self.pit.now_ns
        self.pit.venue.set_close(market, now_ns, now_ns)
        self.pit.venue.set_result(market, result, now_ns)
        self.run(2)

    @property
    def markets(self) -> tuple[str, ...]:
        """Return the markets that are traded here."""
        return MARKETS

    def tell(self, message: Wire) -> None:
        """Let the executor write something that no honest one would."""
        self._tell(message)

    def position_e2(self, market: str) -> int:
        """Return what the exchange really holds for us."""
        position = self.pit.venue.accounts[US].positions.get(market)
        return 0 if position is None or position.is_settled else position.qty_e2

    def cash_e6(self) -> int:
        """Return our cash as the exchange really has it."""
        return sum(self.pit.venue.accounts[US].cash_e6.values())

    def lag(self, seconds: float) -> None:
        """Let the venue answer its reads this late."""
        self.pit.venue.set_read_lag(round(seconds * NS_PER_S), self.pit.now_ns)

    # Channels --------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Let what happened reach the executor and the feed."""
        events = self.pit.venue.drain()
        for event in events:
            for message in self._written(event):
                self.record.append(message)
                for told in self.executor_lens(message):
                    self._tell(told)
        self.hub.publish(events, self.now_ms)
        self._hear()

    def _hear(self) -> None:
        frames, self.session.out[:] = list(self.session.out), []
        for frame in frames:
            for told in self.feed_lens(msgspec.json.decode(frame)):
                for event in self.feed.receive(msgspec.json.encode(told), self.now_ns):
                    self._perform(self.core.on_feed(event, self.now_ns))
        assert self.feed.failure is None, self.feed.failure

    def _live(self) -> None:
        renew = RenewV1(account="main", epoch=1, holder="executor", counter=self.now_ns)
        self.core.on_renew(renew, self.now_ns)
        for market in MARKETS:
            for told in self.executor_lens(self._claim(market)):
                self._tell(told)
        self.feed.tick(self.now_ns)
        self._send(self.feed.commands())
        self._hear()

    def _send(self, commands: list[bytes]) -> None:
        for command in commands:
            self.hub.receive(self.session, command, self.now_ms)

    def _tell(self, message: Wire) -> None:
        self._sequence += 1
        match message:
            case OrderV1():
                self._perform(self.core.on_order(message, self._sequence, self.now_ns))
            case FillV1():
                self._perform(self.core.on_fill(message))
            case PositionV1():
                self._perform(self.core.on_position(message, self.now_ns))
            case _:
                raise AssertionError(message)

    def _written(self, event: Event) -> list[Wire]:
        """Return what an honest executor writes about an event; foreign orders are none of its business."""
        if getattr(event, "account", US) != US:
            return []
        match event:
            case OrderChanged(order=order) if self.is_own(order.client_order_id):
                return [self._order(order)]
            case Filled() as fill if self.is_own(fill.client_order_id):
                return [_fill(fill)]
            case PositionChanged() as position:
                settled = self.pit.venue.accounts[US].positions[position.market].is_settled
                self._positions[position.market] = 0 if settled else position.qty_e2
                return []
            case _:
                return []

    @staticmethod
    def is_own(client_order_id: str) -> bool:
        """Return whether the executor knows this order: its own, and not of another epoch."""
        identity = parse_client_order_id(client_order_id)
        return identity is not None and identity.epoch == 1 and identity.batch < STRAY_BATCH

    def _order(self, order: Order) -> OrderV1:
        version = self._versions[order.client_order_id] = self._versions.get(order.client_order_id, 0) + 1
        return OrderV1(
            account="main",
            market=order.market,
            shard=order.shard,
            client_order_id=order.client_order_id,
            order_id=order.order_id,
            decision_id="d",
            epoch=1,
            side=order.side,
            price_e4=order.price_e4,
            initial_e2=order.initial_e2,
            filled_e2=order.filled_e2,
            remaining_e2=order.remaining_e2,
            state=_STATES[order.status],
            reason=order.reason.value,
            version=version,
            order_group_id="g",
            updated_ns=order.updated_ns,
        )

    def _claim(self, market: str) -> PositionV1:
        self._position_sequence += 1
        return PositionV1(
            account="main",
            market=market,
            epoch=1,
            sequence=self._position_sequence,
            qty_e2=self._positions[market],
            cost_e6=0,
            realised_e6=0,
            fees_e6=0,
            resting=(),
            has_unknown=False,
        )

    def listing(self, fills_from_ms: int | None) -> Listing:
        """Return what the venue's REST face would answer now, through its bodies and our parser of them."""
        venue, account, now_ns = self.pit.venue, self.pit.venue.accounts[US], self.pit.now_ns
        shown = venue.floor.reads
        resting = [order for order in shown.orders(account, now_ns) if order.is_resting]
        since_s = 0 if fills_from_ms is None else fills_from_ms // 1_000
        fills = [fill for fill in shown.fills(account, now_ns) if fill.venue_ns // NS_PER_S >= since_s]
        reads = [read for read in shown.positions(account, now_ns) if not read.position.is_settled]
        cash_e6 = dict(shown.cash_e6(account, now_ns))
        return Listing(
            started_ms=self.now_ms,
            started_ns=self.now_ns,
            orders=tuple(
                wire_orders.order_of(_read(bodies_out.order_body(order, account), wire_orders.OrderWire))
                for order in resting
            ),
            fills=tuple(
                wire_orders.fill_of(_read(bodies_out.fill_body(fill), wire_orders.FillWire)) for fill in fills
            ),
            positions=tuple(
                wire_account.position_of(
                    _read(
                        bodies_out.position_body(read, venue.markets[read.market].shard),
                        wire_account.PositionWire,
                    )
                )
                for read in reads
            ),
            settlements=self._settlements(),
            balance=VenueBalance(sum(cash_e6.values()), cash_e6, self.now_ms),
        )

    def _settlements(self) -> tuple[VenueSettlement, ...]:
        return tuple(
            wire_account.settlement_of(_read(bodies_out.settlement_body(one), wire_account.SettlementWire))
            for one in self.pit.venue.accounts[US].settlements.values()
        )

    # Effects ---------------------------------------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Read(reason, fills_from_ms):
                    listing = self.listing_lens(self.listing(fills_from_ms))
                    self._perform(self.core.on_listing(listing, reason, self.now_ns))
                case Publish(result):
                    self.results.append(result)
                case Halt():
                    self.halts.append(effect)
                case Record(row):
                    self.rows.append(row)
                case Log(level="CRITICAL"):
                    self.alerts.append(effect)
                case AskCancel(order_ids):
                    for order_id in order_ids:
                        order = self.pit.venue.floor.orders.get(order_id)
                        if order is not None and order.is_resting:
                            self.pit.venue.cancel(
                                US, OrderRef(order_id, exchange_index=order.shard), self.pit.now_ns
                            )
                case _:
                    pass


STRAY_BATCH = 1_000_000
"""Ids from here on carry our prefix and are no executor's of this test."""


def _fill(fill: Filled) -> FillV1:
    return FillV1(
        account="main",
        market=fill.market,
        shard=fill.shard,
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        client_order_id=fill.client_order_id,
        decision_id="d",
        side=fill.side,
        price_e4=fill.price_e4,
        qty_e2=fill.qty_e2,
        fee_e6=fill.fee_e6,
        is_taker=fill.is_taker,
        venue_ms=fill.venue_ns // MS,
        position_after_e2=fill.position_after_e2,
        pnl_delta_e6=0,
    )


def _read(body: dict[str, object], kind: type[Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(body), type=kind)

"""An executor core with nothing around it, and messages with defaults: a test spells out what matters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from libs.common.control.latch import LatchState
from libs.common.domain.side import Side
from libs.common.kalshi.budget import TokenBuckets
from libs.common.kalshi.model import (
    Accepted,
    AccountLimits,
    Bucket,
    EndpointCosts,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueOrderStatus,
)
from libs.common.messages.control import GateState, PermitV1
from libs.common.messages.execution import OrderGroupV1, OrderState
from libs.common.messages.market import BandV1, FeeTermsV1, MarketState, MarketV1, TopV1
from libs.common.messages.target import QuoteV1, TargetV1
from libs.common.risk.limits import RiskLimits
from libs.common.runtime.latch_file import LatchWord
from services.executor.core.account import Account, Now
from services.executor.core.approval import Approver
from services.executor.core.effects import Effect, SendBatch, SendCancels
from services.executor.core.engine import Engine
from services.executor.core.epoch import EpochKeeper, EpochTimes
from services.executor.core.gate import Gate, GateLimits
from services.executor.core.halting import Halting
from services.executor.core.intake import Intake
from services.executor.core.journal import JournalWriter
from services.executor.core.orders import OwnOrder, OwnOrders
from services.executor.core.planner import PlanRules
from services.executor.core.positions import Genesis, Positions
from services.executor.core.quoting import Quoter
from services.executor.core.risk_desk import RiskDesk
from services.executor.core.seal import Seal

ACCOUNT = "main"
MARKET = "M-1"
EVENT = "E-1"
GROUP = "group-of-epoch-1"
START_NS = 10_000_000_000
START_MS = 1_800_000_000_000
CENTS = (BandV1(start_e4=0, end_e4=10_000, step_e4=100),)
CLEAR = LatchState(False, 1, 2, GateState.RUNNING, "", "")
CASH_E6 = 10_000_000_000
LIMITS = RiskLimits(
    order_qty_e2_max=10_000,
    order_notional_e6_max=100_000_000,
    market_position_e2_max=20_000,
    market_exposure_e6_max=1_000_000_000,
    market_orders_max=100,
    market_balance_share_e4_max=10_000,
    event_contracts_e2_max=1_000_000,
    event_exposure_e6_max=1_000_000_000,
    account_contracts_e2_max=1_000_000,
    account_exposure_e6_max=1_000_000_000,
    account_orders_max=10_000,
    price_collar_e4_max=1_000,
    reference_age_ms_max=2_000,
    balance_age_ms_max=1_000_000_000,
    orders_per_s_max=1_000,
    notional_per_minute_e6_max=1_000_000_000_000,
    orders_repeated_per_s_max=100,
    orders_same_price_max=1,
)


def a_status(market: str = MARKET, **changes: Any) -> MarketV1:
    fields: dict[str, Any] = {
        "market": market,
        "event": EVENT,
        "series": "E",
        "shard": 0,
        "state": MarketState.ACTIVE,
        "title": "Will it?",
        "grid": CENTS,
        "fee": FeeTermsV1(fee_type="quadratic", multiplier_e4=10_000),
        "open_ms": 0,
        "close_ms": START_MS + 3_600_000,
        "is_exclusive_event": False,
        "can_close_early": False,
        "trading_active": True,
        "sequence": 1,
        "producer": "20260101-000000-md",
    }
    return MarketV1(**(fields | changes))


def a_top(market: str = MARKET, **changes: Any) -> TopV1:
    fields: dict[str, Any] = {
        "market": market,
        "event": EVENT,
        "shard": 0,
        "state": MarketState.ACTIVE,
        "trading_active": True,
        "bid_e4": 4_700,
        "bid_e2": 1_000,
        "ask_e4": 5_300,
        "ask_e2": 1_000,
        "last_e4": None,
        "close_ms": START_MS + 3_600_000,
        "is_stale": False,
        "venue_ms": START_MS,
        "as_of_ms": START_MS,
        "sequence": 1,
        "producer": "20260101-000000-md",
    }
    return TopV1(**(fields | changes))


def a_quote(side: Side = Side.BID, price_e4: int = 4_800, qty_e2: int = 500) -> QuoteV1:
    return QuoteV1(side=side, price_e4=price_e4, qty_e2=qty_e2)


BOTH = (a_quote(Side.BID, 4_800), a_quote(Side.ASK, 5_200))


def a_target(*quotes: QuoteV1, market: str = MARKET, sequence: int = 1, **changes: Any) -> TargetV1:
    fields: dict[str, Any] = {
        "market": market,
        "event": EVENT,
        "strategy": "test/1",
        "decision_id": f"run:{market}:{sequence}",
        "config_revision": 1,
        "book_producer": "20260101-000000-md",
        "book_sequence": sequence,
        "book_venue_ms": START_MS,
        "book_as_of_ms": START_MS,
        "position_epoch": 1,
        "position_sequence": 1,
        "quotes": quotes,
        "silences": (),
        "stages": (),
        "fair_e4": 5_000.0,
        "expires_ms": START_MS + 600_000,
        "origin_mono_ns": START_NS - 1_000_000,
    }
    return TargetV1(**(fields | changes))


def an_order(**changes: Any) -> OwnOrder:
    fields: dict[str, Any] = {
        "client_order_id": "dora-sim-1-1-0-00000000",
        "market": MARKET,
        "event": EVENT,
        "shard": 0,
        "side": Side.BID,
        "price_e4": 4_800,
        "initial_e2": 500,
        "total_e2": 500,
        "epoch": 1,
        "decision_id": "run:M-1:1",
        "order_group_id": GROUP,
        "expires_ms": START_MS + 60_000,
        "state": OrderState.RESTING,
        "order_id": "venue-1",
    }
    return OwnOrder(**(fields | changes))


def accepted(client_order_id: str, order_id: str = "", **changes: Any) -> Accepted:
    fields: dict[str, Any] = {
        "order_id": order_id or f"venue-of-{client_order_id}",
        "client_order_id": client_order_id,
        "filled_e2": 0,
        "remaining_e2": 500,
        "reduced_by_e2": 0,
        "venue_ms": START_MS,
    }
    return Accepted(**(fields | changes))


def told(order: OwnOrder, **changes: Any) -> VenueOrder:
    """Return what the venue says of an order of ours."""
    fields: dict[str, Any] = {
        "order_id": order.order_id or f"venue-of-{order.client_order_id}",
        "client_order_id": order.client_order_id,
        "market": order.market,
        "shard": order.shard,
        "side": order.side,
        "price_e4": order.price_e4,
        "initial_e2": order.initial_e2,
        "filled_e2": order.filled_e2,
        "remaining_e2": order.total_e2 - order.filled_e2,
        "status": VenueOrderStatus.RESTING,
        "updated_ms": START_MS + 1,
    }
    return VenueOrder(**(fields | changes))


def a_fill(order: OwnOrder, qty_e2: int = 100, trade_id: str = "t1", **changes: Any) -> VenueFill:
    fields: dict[str, Any] = {
        "trade_id": trade_id,
        "order_id": order.order_id or f"venue-of-{order.client_order_id}",
        "client_order_id": order.client_order_id,
        "market": order.market,
        "shard": order.shard,
        "side": order.side,
        "price_e4": order.price_e4,
        "qty_e2": qty_e2,
        "fee_e6": 100,
        "is_taker": False,
        "venue_ms": START_MS + 2,
    }
    return VenueFill(**(fields | changes))


@dataclass
class Desk:
    """An engine that leads, with an open gate, one market and full buckets."""

    engine: Engine
    now: Now = field(default_factory=lambda: Now(START_NS, START_MS))
    counter: int = 0

    def later(self, seconds: float) -> Now:
        """Move both clocks and keep permits, epoch and books fresh."""
        self.now = Now(self.now.ns + int(seconds * 1e9), self.now.ms + int(seconds * 1e3))
        return self.now

    def prove(self) -> None:
        """Renew everything that the gate wants to see fresh."""
        gate = self.engine.account.gate
        self.counter += 1
        for issuer in gate.issuers:
            permit = PermitV1(
                issuer=issuer,
                boot="b",
                counter=self.counter,
                account=ACCOUNT,
                is_open=True,
                epoch=self.engine.account.journal.epoch,
            )
            gate.on_permit(issuer, permit, self.now.ns)
        gate.renewed_ns = self.now.ns
        gate.hearing.compared(self.now.ns)
        self.engine.epoch.renewed_ns = self.now.ns
        for market in list(self.engine.account.status):
            top = gate.top(market)
            if top is not None:
                self.engine.on_top(
                    a_top(market, bid_e4=top.bid_e4, ask_e4=top.ask_e4, as_of_ms=self.now.ms), self.now
                )

    def quote(self, *quotes: QuoteV1, sequence: int = 1, **changes: Any) -> list[Effect]:
        """Hand in a target and plan."""
        self.engine.on_target(a_target(*quotes, sequence=sequence, **changes), self.now)
        return self.engine.run_pass(self.now)

    def accept_all(self, effects: list[Effect]) -> list[OwnOrder]:
        """Let the venue accept every request of these effects; return the created orders."""
        created = []
        for effect in effects:
            if isinstance(effect, SendBatch):
                if effect.cancels:
                    self.accept_all([SendCancels(effect.cancels)])
                for approved in effect.creates:
                    client = approved.request.client_order_id
                    qty = approved.request.qty_e2  # type: ignore[union-attr]
                    self.engine.intake.on_create_answer(client, accepted(client, remaining_e2=qty), self.now)
                    order = self.engine.account.orders.by_client(client)
                    assert order is not None
                    created.append(order)
                for item in effect.intent.items:
                    if item.order_id:
                        answer = accepted(item.client_order_id, item.order_id, has_remaining=False)
                        self.engine.intake.on_amend_answer(
                            item.client_order_id, item.action, answer, self.now
                        )
                self.engine.batch_answered()
            elif isinstance(effect, SendCancels):
                for cancel in effect.cancels:
                    order = self.engine.account.orders.by_order(cancel.order_id)
                    assert order is not None
                    gone = accepted(cancel.client_order_id, cancel.order_id, reduced_by_e2=order.remaining_e2)
                    self.engine.intake.on_cancel_answer(cancel, gone, self.now)
        return created


def batches(effects: list[Effect]) -> list[SendBatch]:
    """Return the batches among effects."""
    return [effect for effect in effects if isinstance(effect, SendBatch)]


def cancels(effects: list[Effect]) -> list[str]:
    """Return the order ids that effects cancel."""
    return [
        cancel.order_id
        for effect in effects
        if isinstance(effect, SendBatch | SendCancels)
        for cancel in effect.cancels
    ]


def full_buckets(now_ns: int = START_NS, *, write: int = 12_000) -> TokenBuckets:
    """Return buckets that had time to fill."""
    limits = AccountLimits("prestige", Bucket(write, write), Bucket(write, write))
    costs = EndpointCosts(default=10)
    return TokenBuckets(limits, costs, now_ns - 100_000_000_000)


def a_desk(
    *,
    rules: PlanRules | None = None,
    limits: RiskLimits = LIMITS,
    buckets: TokenBuckets | None = None,
    is_open: bool = True,
) -> Desk:
    """Return an executor core, ready to quote unless said otherwise."""
    account = Account(
        name=ACCOUNT,
        run="20260101-000000-test",
        gate=Gate(ACCOUNT, GateLimits()),
        journal=JournalWriter("sim", ACCOUNT, 0),
        orders=OwnOrders(),
        positions=Positions(ACCOUNT, genesis=Genesis(0, 0)),
        desk=RiskDesk(),
    )
    seal = Seal(b"k" * 32)
    engine = Engine(
        account=account,
        quoter=Quoter(
            account,
            Approver(account, seal, limits),
            buckets or full_buckets(),
            rules or PlanRules(),
        ),
        intake=Intake(account, "sim"),
        halting=Halting(account, LatchWord(False, 1, "resumed")),
        epoch=EpochKeeper(EpochTimes()),
        seal=seal,
    )
    desk = Desk(engine)
    if is_open:
        engine.epoch.claimed(1, 100, START_NS)
        engine.began_epoch(1)
        account.group(OrderGroupV1(account=ACCOUNT, epoch=1, shard=0, order_group_id=GROUP, limit_e2=100_000))
        account.gate.is_recovered = True
        engine.on_latch(CLEAR)
        engine.on_balance(VenueBalance(CASH_E6, dict.fromkeys(range(4), CASH_E6), START_MS), START_NS)
        engine.on_status(a_status(), desk.now)
        engine.on_top(a_top(), desk.now)
        desk.prove()
    return desk

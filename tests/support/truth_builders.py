"""Builders for the reconciler's and the riskguard's tests: only what matters is spelled out."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.kalshi.model import (
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueOrderStatus,
    VenuePosition,
    VenueSettlement,
)
from libs.common.messages.execution import EpochV1, FillV1, OrderState, OrderV1, PositionV1
from libs.common.messages.market import MarketState, TopV1
from services.reconciler.core.listing_view import Listing

MARKET = "KXTEST-26NOV21-A"
NOW_MS = 1_700_000_000_000
S = 1_000_000_000
MS = 1_000_000


def client_id(number: int, epoch: int = 1, env: str = "sim") -> str:
    return f"dora-{env}-{epoch}-{number}-0-00000000"


def venue_order(number: int = 1, **changes: object) -> VenueOrder:
    fields: dict[str, object] = {
        "order_id": f"o{number}",
        "client_order_id": client_id(number),
        "market": MARKET,
        "shard": 0,
        "side": Side.BID,
        "price_e4": 4_000,
        "initial_e2": 1_000,
        "filled_e2": 0,
        "remaining_e2": 1_000,
        "status": VenueOrderStatus.RESTING,
        "updated_ms": NOW_MS - 60_000,
    }
    return VenueOrder(**{**fields, **changes})  # type: ignore[arg-type]


def order_event(number: int = 1, **changes: object) -> OrderV1:
    fields: dict[str, object] = {
        "account": "main",
        "market": MARKET,
        "shard": 0,
        "client_order_id": client_id(number),
        "order_id": f"o{number}",
        "decision_id": "d",
        "epoch": 1,
        "side": Side.BID,
        "price_e4": 4_000,
        "initial_e2": 1_000,
        "filled_e2": 0,
        "remaining_e2": 1_000,
        "state": OrderState.RESTING,
        "reason": "",
        "version": 1,
        "order_group_id": "g",
        "updated_ns": 0,
    }
    return OrderV1(**{**fields, **changes})  # type: ignore[arg-type]


def venue_fill(trade: str = "t1", **changes: object) -> VenueFill:
    fields: dict[str, object] = {
        "trade_id": trade,
        "order_id": "o1",
        "client_order_id": "",
        "market": MARKET,
        "shard": 0,
        "side": Side.BID,
        "price_e4": 4_000,
        "qty_e2": 100,
        "fee_e6": 0,
        "is_taker": False,
        "venue_ms": NOW_MS - 30_000,
    }
    return VenueFill(**{**fields, **changes})  # type: ignore[arg-type]


def fill_event(fill: VenueFill, **changes: object) -> FillV1:
    fields: dict[str, object] = {
        "account": "main",
        "market": fill.market,
        "shard": fill.shard,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_order_id": client_id(1),
        "decision_id": "d",
        "side": fill.side,
        "price_e4": fill.price_e4,
        "qty_e2": fill.qty_e2,
        "fee_e6": fill.fee_e6,
        "is_taker": fill.is_taker,
        "venue_ms": fill.venue_ms,
        "position_after_e2": 0,
        "pnl_delta_e6": 0,
    }
    return FillV1(**{**fields, **changes})  # type: ignore[arg-type]


def position_event(market: str = MARKET, qty_e2: int = 0, *, epoch: int = 1, sequence: int = 1) -> PositionV1:
    return PositionV1(
        account="main",
        market=market,
        epoch=epoch,
        sequence=sequence,
        qty_e2=qty_e2,
        cost_e6=0,
        realised_e6=0,
        fees_e6=0,
        resting=(),
        has_unknown=False,
    )


def venue_position(qty_e2: int, market: str = MARKET, cost_e6: int = 0) -> VenuePosition:
    return VenuePosition(market, 0, qty_e2, cost_e6, 0, 0)


def settlement(market: str = MARKET, **changes: object) -> VenueSettlement:
    fields: dict[str, object] = {
        "market": market,
        "event": "KXTEST-26NOV21",
        "shard": 0,
        "result": "yes",
        "yes_e2": 0,
        "no_e2": 0,
        "revenue_e6": 0,
        "fee_e6": 0,
        "settled_ms": NOW_MS - 20_000,
    }
    return VenueSettlement(**{**fields, **changes})  # type: ignore[arg-type]


def epoch_event(number: int = 1, **changes: object) -> EpochV1:
    fields: dict[str, object] = {
        "account": "main",
        "number": number,
        "holder": "executor-1",
        "run": "run",
        "build": "b",
        "config_hash": "c",
        "started_ns": 0,
        "genesis_balance_e6": 1_000_000_000,
        "genesis_ms": NOW_MS - 3_600_000,
    }
    return EpochV1(**{**fields, **changes})  # type: ignore[arg-type]


def listing(
    *,
    now_ns: int,
    now_ms: int = NOW_MS,
    orders: tuple[VenueOrder, ...] = (),
    fills: tuple[VenueFill, ...] = (),
    positions: tuple[VenuePosition, ...] = (),
    settlements: tuple[VenueSettlement, ...] = (),
    balance_e6: int | None = 1_000_000_000,
) -> Listing:
    return Listing(
        started_ms=now_ms,
        started_ns=now_ns,
        orders=orders,
        fills=fills,
        positions=positions,
        settlements=settlements,
        balance=None if balance_e6 is None else VenueBalance(balance_e6, {0: balance_e6}, now_ms),
    )


def top(
    market: str = MARKET, bid_e4: int | None = 4_000, ask_e4: int | None = 4_200, **changes: object
) -> TopV1:
    fields: dict[str, object] = {
        "market": market,
        "event": "KXTEST-26NOV21",
        "shard": 0,
        "state": MarketState.ACTIVE,
        "trading_active": True,
        "bid_e4": bid_e4,
        "bid_e2": 100,
        "ask_e4": ask_e4,
        "ask_e2": 100,
        "last_e4": None,
        "close_ms": NOW_MS + 3_600_000,
        "is_stale": False,
        "venue_ms": NOW_MS,
        "as_of_ms": NOW_MS,
        "sequence": 1,
        "producer": "p",
    }
    return TopV1(**{**fields, **changes})  # type: ignore[arg-type]

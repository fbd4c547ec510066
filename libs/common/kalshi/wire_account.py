"""Positions, settlements, balance, limits and costs as REST answers them."""

from __future__ import annotations

import msgspec

from libs.common.kalshi.model import (
    AccountLimits,
    Bucket,
    EndpointCosts,
    VenueBalance,
    VenuePosition,
    VenueSettlement,
)
from libs.common.kalshi.wire_text import MalformedWire, cash_e6, cents_e6, count_e2, qty_e2, time_ms


class PositionWire(msgspec.Struct, frozen=True, kw_only=True):
    """One market's position."""

    ticker: str
    position_fp: str
    market_exposure_dollars: str
    realized_pnl_dollars: str
    fees_paid_dollars: str
    exchange_index: int | None = None


class PositionsPage(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/positions``."""

    market_positions: list[PositionWire] | None = None
    cursor: str | None = None


class SettlementWire(msgspec.Struct, frozen=True, kw_only=True):
    """One settled market; ``revenue`` is one of the few fields in cents."""

    ticker: str
    event_ticker: str
    market_result: str
    yes_count_fp: str
    no_count_fp: str
    revenue: int
    settled_time: str
    fee_cost: str | None = None
    exchange_index: int | None = None


class SettlementsPage(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/settlements``."""

    settlements: list[SettlementWire] | None = None
    cursor: str | None = None


class ShardBalanceWire(msgspec.Struct, frozen=True, kw_only=True):
    """One shard's cash, in dollars."""

    exchange_index: int
    balance: str


class BalanceWire(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/balance``; its ``balance`` truncates to cents and is not read."""

    balance_dollars: str
    updated_ts: int | None = None
    balance_breakdown: list[ShardBalanceWire] | None = None


class BucketWire(msgspec.Struct, frozen=True, kw_only=True):
    """Rate and capacity."""

    refill_rate: int
    bucket_capacity: int


class LimitsWire(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /account/limits``."""

    usage_tier: str
    read: BucketWire
    write: BucketWire


class CostWire(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint's cost."""

    method: str
    path: str
    cost: int


class CostsWire(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /account/endpoint_costs``."""

    default_cost: int
    endpoint_costs: list[CostWire] | None = None


def position_of(wire: PositionWire) -> VenuePosition:
    """Return a position in our units.

    Raises:
        MalformedWire: A text has another form than its field allows.
    """
    return VenuePosition(
        market=wire.ticker,
        shard=wire.exchange_index or 0,
        qty_e2=qty_e2(wire.position_fp),
        exposure_e6=cash_e6(wire.market_exposure_dollars),
        realised_e6=cash_e6(wire.realized_pnl_dollars),
        fees_e6=cash_e6(wire.fees_paid_dollars),
    )


def settlement_of(wire: SettlementWire) -> VenueSettlement:
    """Return a settlement in our units.

    Raises:
        MalformedWire: A text has another form than its field allows.
    """
    return VenueSettlement(
        market=wire.ticker,
        event=wire.event_ticker,
        shard=wire.exchange_index or 0,
        result=wire.market_result,
        yes_e2=count_e2(wire.yes_count_fp),
        no_e2=count_e2(wire.no_count_fp),
        revenue_e6=cents_e6(wire.revenue),
        fee_e6=cash_e6(wire.fee_cost),
        settled_ms=time_ms(wire.settled_time),
    )


def balance_of(wire: BalanceWire) -> VenueBalance:
    """Return the cash in our units.

    Raises:
        MalformedWire: A text has another form than its field allows.
    """
    return VenueBalance(
        total_e6=cash_e6(wire.balance_dollars),
        by_shard={b.exchange_index: cash_e6(b.balance) for b in wire.balance_breakdown or ()},
        updated_ms=(wire.updated_ts or 0) * 1_000,
    )


def limits_of(wire: LimitsWire) -> AccountLimits:
    """Return the account's buckets.

    Raises:
        MalformedWire: A rate or capacity that cannot be.
    """
    for bucket in (wire.read, wire.write):
        if bucket.refill_rate <= 0 or bucket.bucket_capacity <= 0:
            raise MalformedWire(f"bucket with rate and capacity above zero, was {bucket}")
    return AccountLimits(
        tier=wire.usage_tier,
        read=Bucket(wire.read.refill_rate, wire.read.bucket_capacity),
        write=Bucket(wire.write.refill_rate, wire.write.bucket_capacity),
    )


def costs_of(wire: CostsWire) -> EndpointCosts:
    """Return the token costs.

    Raises:
        MalformedWire: A negative cost.
    """
    costs = {(c.method.upper(), c.path): c.cost for c in wire.endpoint_costs or ()}
    if wire.default_cost < 0 or any(cost < 0 for cost in costs.values()):
        raise MalformedWire("costs of zero or more, was a negative one")
    return EndpointCosts(default=wire.default_cost, by_endpoint=costs)

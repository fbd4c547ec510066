"""Positions, settlements, balance, limits and costs as REST answers them."""

from __future__ import annotations

from typing import Final

import msgspec

from libs.common.kalshi.model import (
    OUTSIDE_SHARD,
    AccountLimits,
    Bucket,
    EndpointCosts,
    VenueBalance,
    VenueFunding,
    VenuePosition,
    VenueSettlement,
    VenueTransfer,
)
from libs.common.kalshi.wire_text import MalformedWire, cash_e6, cents_e6, count_e2, qty_e2, time_ms

_EVENT_CONTRACTS: Final = "event_contract"


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


class TransferWire(msgspec.Struct, frozen=True, kw_only=True):
    """One move between shards; ``amount`` is in dollars here and in centi-cents where it is asked for."""

    transfer_id: str
    source: str
    destination: str
    source_exchange_shard: int
    destination_exchange_shard: int
    amount: str
    status: str
    created_ts: int


class TransfersPage(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/intra_exchange_instance_transfers``."""

    transfers: list[TransferWire] | None = None
    cursor: str | None = None


class FundingWire(msgspec.Struct, frozen=True, kw_only=True):
    """One deposit or withdrawal, in cents."""

    id: str
    status: str
    amount_cents: int
    fee_cents: int
    created_ts: int
    finalized_ts: int | None = None


class DepositsPage(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/deposits``."""

    deposits: list[FundingWire] | None = None
    cursor: str | None = None


class WithdrawalsPage(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /portfolio/withdrawals``."""

    withdrawals: list[FundingWire] | None = None
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


class GrantWire(msgspec.Struct, frozen=True, kw_only=True):
    """What a tier rests on; without an end it is permanent."""

    exchange_instance: str
    level: str
    expires_ts: int | None = None


class LimitsWire(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /account/limits``."""

    usage_tier: str
    read: BucketWire
    write: BucketWire
    grants: list[GrantWire] | None = None


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


def transfer_of(wire: TransferWire) -> VenueTransfer:
    """Return a transfer in our units.

    Raises:
        MalformedWire: The amount has another form, or is negative.
    """
    amount_e6 = cash_e6(wire.amount)
    if amount_e6 < 0:
        raise MalformedWire(f"transfer of zero or more, was {wire.amount!r}")
    return VenueTransfer(
        transfer_id=wire.transfer_id,
        from_shard=_shard_of(wire.source, wire.source_exchange_shard),
        to_shard=_shard_of(wire.destination, wire.destination_exchange_shard),
        amount_e6=amount_e6,
        status=wire.status,
        created_ms=wire.created_ts * 1_000,
    )


def deposit_of(wire: FundingWire) -> VenueFunding:
    """Return a deposit in our units.

    Raises:
        MalformedWire: A negative amount.
    """
    return _funding_of(wire, 1)


def withdrawal_of(wire: FundingWire) -> VenueFunding:
    """Return a withdrawal in our units: its amount is negative.

    Raises:
        MalformedWire: A negative amount.
    """
    return _funding_of(wire, -1)


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
        expires_ms=_tier_ends_ms(wire),
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


def _tier_ends_ms(wire: LimitsWire) -> int | None:
    ends_s = [
        grant.expires_ts
        for grant in wire.grants or ()
        if grant.exchange_instance == _EVENT_CONTRACTS and grant.level == wire.usage_tier
    ]
    lasting_s = [end_s for end_s in ends_s if end_s is not None]
    return max(lasting_s) * 1_000 if lasting_s and len(lasting_s) == len(ends_s) else None


def _shard_of(instance: str, shard: int) -> int:
    return shard if instance == _EVENT_CONTRACTS else OUTSIDE_SHARD


def _funding_of(wire: FundingWire, sign: int) -> VenueFunding:
    if wire.amount_cents < 0 or wire.fee_cents < 0:
        raise MalformedWire(f"amount and fee of zero or more, was {wire.amount_cents} and {wire.fee_cents}")
    return VenueFunding(
        funding_id=wire.id,
        amount_e6=sign * cents_e6(wire.amount_cents),
        status=wire.status,
        finalized_ms=(wire.finalized_ts or 0) * 1_000,
        fee_e6=cents_e6(wire.fee_cents),
    )

"""Books, positions and venue nouns with defaults, so that a test spells out only what matters."""

from __future__ import annotations

from typing import Any

from libs.common.domain.side import Side
from libs.common.kalshi.model import (
    BookDelta,
    BookSnapshot,
    PublicTrade,
    VenueEvent,
    VenueMarket,
    VenueSeries,
)
from libs.common.messages.execution import PositionV1, RestingV1
from libs.common.messages.market import BandV1, BookV1, FeaturesV1, FeeTermsV1, MarketState, SiblingV1

MARKET = "KXTEST-26NOV21-B50.5"
EVENT = "KXTEST-26NOV21"
SERIES = "KXTEST"
NOW_MS = 1_790_000_000_000

CENT = ((0, 10_000, 100),)
TENTH = ((0, 10_000, 10),)
FINEST = ((0, 10_000, 1),)
TAPERED = ((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10))


def bands(steps: tuple[tuple[int, int, int], ...] = CENT) -> tuple[BandV1, ...]:
    return tuple(BandV1(start_e4=a, end_e4=b, step_e4=c) for a, b, c in steps)


def features(mid_e4: float, **changes: Any) -> FeaturesV1:
    values: dict[str, Any] = {
        "mid_e4": mid_e4,
        "weighted_mid_e4": mid_e4,
        "micro_e4": mid_e4,
        "variance_e8_s": 0.0,
        "imbalance": 0.0,
        "flow_e2_s": 0.0,
        "trades_s": 0.0,
    }
    return FeaturesV1(**{**values, **changes})


def book(
    bids: tuple[tuple[int, int], ...] = ((4_900, 10_000),),
    asks: tuple[tuple[int, int], ...] = ((5_100, 10_000),),
    **changes: Any,
) -> BookV1:
    grid = bands(changes.pop("steps", CENT))
    has_mid = bool(bids and asks and bids[0][0] < asks[0][0])
    values: dict[str, Any] = {
        "market": MARKET,
        "event": EVENT,
        "series": SERIES,
        "shard": 0,
        "state": MarketState.ACTIVE,
        "trading_active": True,
        "grid": grid,
        "fee": FeeTermsV1(fee_type="quadratic", multiplier_e4=10_000),
        "close_ms": NOW_MS + 3_600_000,
        "bids": bids,
        "asks": asks,
        "features": features((bids[0][0] + asks[0][0]) / 2) if has_mid else None,
        "is_stale": False,
        "venue_ms": NOW_MS,
        "as_of_ms": NOW_MS,
        "clock": 1,
        "sequence": 7,
        "producer": "20261121-090000-md",
        "origin_mono_ns": 123,
    }
    return BookV1(**{**values, **changes})


def position(qty_e2: int = 0, resting: tuple[tuple[Side, int, int], ...] = (), **changes: Any) -> PositionV1:
    values: dict[str, Any] = {
        "account": "main",
        "market": MARKET,
        "epoch": 1,
        "sequence": 1,
        "qty_e2": qty_e2,
        "cost_e6": 0,
        "realised_e6": 0,
        "fees_e6": 0,
        "resting": tuple(RestingV1(side=s, price_e4=p, qty_e2=q) for s, p, q in resting),
        "has_unknown": False,
    }
    return PositionV1(**{**values, **changes})


def sibling(name: str, bid_e4: int | None, ask_e4: int | None) -> SiblingV1:
    return SiblingV1(market=name, bid_e4=bid_e4, ask_e4=ask_e4)


def venue_market(name: str = MARKET, **changes: Any) -> VenueMarket:
    values: dict[str, Any] = {
        "market": name,
        "event": EVENT,
        "shard": 0,
        "state": MarketState.ACTIVE,
        "title": "a market",
        "grid": bands(changes.pop("steps", CENT)),
        "open_ms": NOW_MS - 1_000,
        "close_ms": NOW_MS + 3_600_000,
        "can_close_early": False,
    }
    return VenueMarket(**{**values, **changes})


def venue_event(event: str = EVENT, **changes: Any) -> VenueEvent:
    values: dict[str, Any] = {
        "event": event,
        "series": SERIES,
        "title": "an event",
        "shard": 0,
        "is_mutually_exclusive": False,
    }
    return VenueEvent(**{**values, **changes})


def venue_series(**changes: Any) -> VenueSeries:
    values: dict[str, Any] = {
        "series": SERIES,
        "title": "a series",
        "fee_type": "quadratic",
        "fee_multiplier_e4": 10_000,
    }
    return VenueSeries(**{**values, **changes})


def snapshot(
    bids: tuple[tuple[int, int], ...] = ((4_900, 10_000),),
    asks: tuple[tuple[int, int], ...] = ((5_100, 10_000),),
    *,
    market: str = MARKET,
    clock: int = 1,
    venue_ms: int = NOW_MS,
) -> BookSnapshot:
    return BookSnapshot(market, bids, asks, clock, venue_ms)


def delta(
    side: Side, price_e4: int, change_e2: int, *, market: str = MARKET, clock: int = 0, venue_ms: int = NOW_MS
) -> BookDelta:
    return BookDelta(market, side, price_e4, change_e2, clock, venue_ms)


def trade(
    taker: Side, price_e4: int, qty_e2: int, *, market: str = MARKET, venue_ms: int = NOW_MS
) -> PublicTrade:
    return PublicTrade(market, f"t-{price_e4}-{qty_e2}-{venue_ms}", price_e4, qty_e2, taker, venue_ms)

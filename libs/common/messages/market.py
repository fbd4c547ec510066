"""What marketdata publishes: the market, its book, trades and whales."""

from __future__ import annotations

import enum

from libs.common.messages.base import Wire

LevelV1 = tuple[int, int]
"""Price (E4, YES price) and total displayed quantity (E2)."""


class MarketState(enum.StrEnum):
    """Where the market is in its life; ``unknown`` until the venue said so."""

    UNKNOWN = "unknown"
    INITIALIZED = "initialized"
    ACTIVE = "active"
    INACTIVE = "inactive"
    CLOSED = "closed"
    DETERMINED = "determined"
    DISPUTED = "disputed"
    AMENDED = "amended"
    FINALIZED = "finalized"


class BandV1(Wire, frozen=True, kw_only=True):
    """One band of the price grid; edges belong to both bands (kalshi-api 3.3)."""

    start_e4: int
    end_e4: int
    step_e4: int


class FeeTermsV1(Wire, frozen=True, kw_only=True):
    """What a fill costs: overrides and waiver already resolved (kalshi-api 21)."""

    fee_type: str
    multiplier_e4: int
    """Fee multiplier in ten-thousandths: 10_000 is 1; 0 waives."""


class MarketV1(Wire, frozen=True, kw_only=True):
    """``md.status``: everything about a market but its book. Republished on change and every 2 s."""

    market: str
    event: str
    series: str
    shard: int
    state: MarketState
    title: str
    grid: tuple[BandV1, ...]
    fee: FeeTermsV1
    open_ms: int
    close_ms: int
    is_exclusive_event: bool
    can_close_early: bool
    trading_active: bool
    """False in a trading or exchange pause of its shard."""
    result: str = ""
    """``yes``, ``no``, ``scalar`` once determined."""
    settlement_value_e4: int | None = None
    sequence: int
    """Counts this market's status changes in this producer's run, from 1."""
    producer: str
    """Run id of marketdata; a new one restarts ``sequence``."""


class FeaturesV1(Wire, frozen=True, kw_only=True):
    """Stateful features of one book, estimated by marketdata; floats, never money.

    Prices are in ten-thousandths of a dollar. ``variance_e8_s`` is the EWMA
    variance of the mid in E4 squared per second. ``imbalance`` is (bid size -
    ask size) / (bid size + ask size) at the touch, in -1 to 1. ``flow_e2_s`` is the
    signed EWMA of traded quantity per second, buyers of YES positive.
    """

    mid_e4: float
    weighted_mid_e4: float
    micro_e4: float
    variance_e8_s: float
    imbalance: float
    flow_e2_s: float
    trades_s: float


class SiblingV1(Wire, frozen=True, kw_only=True):
    """Top of a related outcome of the same mutually exclusive event."""

    market: str
    bid_e4: int | None
    ask_e4: int | None


class BookV1(Wire, frozen=True, kw_only=True):
    """``md.book``: whole state, the newest wins, all that a decision needs of the market.

    ``as_of_ms`` is the exchange time up to which this book is known current: the
    newest in-order exchange stamp on its subscription, not the time of the last
    change (``venue_ms``). Freshness is judged by ``as_of_ms``.
    """

    market: str
    event: str
    series: str
    shard: int
    state: MarketState
    trading_active: bool
    grid: tuple[BandV1, ...]
    fee: FeeTermsV1
    close_ms: int
    bids: tuple[LevelV1, ...]
    """Best first, at most 20."""
    asks: tuple[LevelV1, ...]
    """Best first, at most 20; YES prices."""
    features: FeaturesV1 | None
    """None while a side is empty or the estimators have seen nothing."""
    siblings: tuple[SiblingV1, ...] = ()
    is_stale: bool
    """True after a gap, a corrupt level or a silent feed: quote nothing."""
    venue_ms: int
    as_of_ms: int
    clock: int
    """Matching-engine action number of the venue, 0 if not sent."""
    sequence: int
    """Gap-free per market within this producer's run, from 1."""
    producer: str
    origin_mono_ns: int
    """Monotonic arrival of the frame that caused this message: start of tick-to-order."""


class TopV1(Wire, frozen=True, kw_only=True):
    """``md.top``: the touch, for services that never parse whole books."""

    market: str
    event: str
    shard: int
    state: MarketState
    trading_active: bool
    bid_e4: int | None
    bid_e2: int
    ask_e4: int | None
    ask_e2: int
    last_e4: int | None
    close_ms: int
    is_stale: bool
    venue_ms: int
    as_of_ms: int
    sequence: int
    """The same number as the book it was taken from."""
    producer: str


class TradeV1(Wire, frozen=True, kw_only=True):
    """``md.trade``: one public trade."""

    market: str
    trade_id: str
    price_e4: int
    qty_e2: int
    taker_side: str
    """``bid`` or ``ask``."""
    venue_ms: int


class WhaleV1(Wire, frozen=True, kw_only=True):
    """``md.whale`` (requirements E-044 to E-046)."""

    market: str
    event_type: str
    """``large_bid``, ``large_ask``, ``high_imbalance``, ``spoof_suspected``."""
    size_e2: int
    price_e4: int
    depth_pct: float
    imbalance: float
    side_bias: str
    """``BUY_BIAS`` or ``SELL_BIAS``."""
    venue_ms: int


class SignalV1(Wire, frozen=True, kw_only=True):
    """``signal``: an outside fair value."""

    source: str
    market: str
    probability: float
    confidence: float
    as_of_ms: int

"""Readings of what changes within days, and a guard that travels through time."""

from __future__ import annotations

from typing import Final

from libs.common.kalshi.model import (
    AccountLimits,
    Bucket,
    ExchangeSchedule,
    ExchangeStatus,
    FeeChange,
    FeedHeard,
    Session,
    VenueOrder,
    WeeklyHours,
)
from libs.common.messages.market import BandV1, FeeTermsV1, MarketState, MarketV1
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.effects import Effect
from services.riskguard.core.money.balance import BalanceReading
from services.riskguard.core.slow.readings import EventFees, KeysRead
from services.riskguard.core.slow.view import DAY_MS
from tests.support.guards import beat, permit, reading, tick
from tests.support.truth_builders import MARKET, MS, NOW_MS

TRADE: Final = frozenset(("read", "write::trade"))
EVENT: Final = "KXTEST-26NOV21"
SERIES: Final = "KXTEST"
CENTS: Final = (BandV1(start_e4=0, end_e4=10_000, step_e4=100),)
OLD: Final = FeeTermsV1(fee_type="quadratic", multiplier_e4=10_000)
NEW: Final = FeeTermsV1(fee_type="quadratic", multiplier_e4=5_000)
ALL_DAY: Final = (Session(0, 1_440),)


def at(core: RiskguardCore, ms: int, *orders: VenueOrder) -> list[Effect]:
    """Let this many milliseconds have gone by since `running_guard`, everybody else being well; evaluate.

    These orders rest then.
    """
    now_ns = ms * MS
    core.on_reading(reading(now_ns, orders=orders), now_ns)
    core.on_feed(FeedHeard(NOW_MS + ms), now_ns)
    core.on_recon_permit(permit(2 + ms), now_ns)
    core.on_balance(BalanceReading(NOW_MS + ms, {0: 10**9}, ()), now_ns)
    core.on_exchange(ExchangeStatus(True, True, {0: (True, True)}), now_ns)
    for name in ("executor", "marketdata", "strategy"):
        core.on_beat(beat(name, 2 + ms), now_ns)
    core.leader.heard_ns = now_ns
    return tick(core, now_ns)


def keys(days: float | None = None, scopes: frozenset[str] | None = TRADE, movers: int = 0) -> KeysRead:
    """Return the account's keys; its attestation lapses so many days after `running_guard`."""
    return KeysRead(scopes, movers, None if days is None else NOW_MS + int(days * DAY_MS))


def limits_of(tier: str = "premier", write: int = 1_200, ends_days: float | None = None) -> AccountLimits:
    """Return what an account may ask for."""
    ends_ms = None if ends_days is None else NOW_MS + int(ends_days * DAY_MS)
    return AccountLimits(tier, Bucket(1_200, 1_200), Bucket(write, 3 * write), ends_ms)


def status(market: str = MARKET, **changes: object) -> MarketV1:
    """Return what a market is."""
    fields: dict[str, object] = {
        "market": market,
        "event": EVENT,
        "series": SERIES,
        "shard": 0,
        "state": MarketState.ACTIVE,
        "title": "",
        "grid": CENTS,
        "fee": OLD,
        "open_ms": 0,
        "close_ms": NOW_MS + 30 * DAY_MS,
        "is_exclusive_event": False,
        "can_close_early": False,
        "trading_active": True,
        "sequence": 1,
        "producer": "p",
    }
    return MarketV1(**{**fields, **changes})  # type: ignore[arg-type]


def change(at_ms: int, **changes: object) -> FeeChange:
    """Return an announced change of the series' fees to `NEW`."""
    fields: dict[str, object] = {
        "change_id": "1",
        "series": SERIES,
        "event": "",
        "fee_type": NEW.fee_type,
        "multiplier_e4": NEW.multiplier_e4,
        "at_ms": at_ms,
    }
    return FeeChange(**{**fields, **changes})  # type: ignore[arg-type]


def event_fees(started_ms: int, series: FeeTermsV1 = NEW, **changes: object) -> EventFees:
    """Return the venue's word about the event's fees: those of its series."""
    fields: dict[str, object] = {
        "event": EVENT,
        "series": SERIES,
        "started_ms": started_ms,
        "override": (None, None),
        "series_terms": (series.fee_type, series.multiplier_e4),
    }
    return EventFees(**{**fields, **changes})  # type: ignore[arg-type]


def schedule(
    *maintenance: tuple[int, int], days: dict[int, tuple[Session, ...]] | None = None
) -> ExchangeSchedule:
    """Return a schedule that is open always but on these weekdays (0 is Monday) and in these windows."""
    sessions = tuple((days or {}).get(day, ALL_DAY) for day in range(7))
    return ExchangeSchedule((WeeklyHours(0, NOW_MS * 2, sessions),), maintenance)

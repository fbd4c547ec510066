"""What the riskguard can be told: its limits (all required), its day, its clocks, and its venue key."""

from __future__ import annotations

from typing import Annotated

import msgspec

from libs.common.runtime.config import Common, Venue

_NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What trading may cost. No field has a default, and zero means zero.

    Attributes:
        trading_enabled: False keeps the permit closed whatever else holds (requirement A-023).
        daily_loss_e6: Halt when the day's result is at or below minus this (D-060).
        drawdown_e6: Halt when the day's result fell by this or more from its high-water mark (D-062).
        position_e2: Halt when a market's position is larger than this, either way.
        market_exposure_e6: Halt when the worst-case loss of one market is larger, resting orders included.
        event_exposure_e6: The same for one event, whose exclusive outcomes cannot all lose.
        account_exposure_e6: The same for everything.
        orders_per_minute: Halt when the venue shows us more new orders of ours within a minute.
    """

    trading_enabled: bool
    daily_loss_e6: _NotNegative
    drawdown_e6: _NotNegative
    position_e2: _NotNegative
    market_exposure_e6: _NotNegative
    event_exposure_e6: _NotNegative
    account_exposure_e6: _NotNegative
    orders_per_minute: _NotNegative


class Day(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a trading day begins: an hour in a zone of the tz database, for example ``America/New_York``."""

    zone: str = "UTC"
    start_hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 0


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often to look, and how long a silence may last.

    Attributes:
        evaluate_ms: Time between evaluations of all triggers; also the pulse of the emergency lane.
        listing_ms: Time between readings of orders, fills, positions, settlements at the venue.
        listing_fresh_ms: Older readings close the permit.
        executor_silence_ms: Without the leader's heartbeat for this long the permit closes, and where orders
            rest the emergency lane acts.
        recon_silence_ms: The reconciler's permit counts for this long.
        book_stale_ms: Age of a book, by exchange time, at which a market that we are in pauses us.
        nonce_life_ms: A resume must be confirmed within this; at most a minute.
        emergency_repeat_ms: Time between rungs of the emergency lane; longer than the venue's read lag.
    """

    evaluate_ms: Annotated[int, msgspec.Meta(ge=50, le=1_000)] = 250
    listing_ms: Annotated[int, msgspec.Meta(ge=200, le=60_000)] = 2_000
    listing_fresh_ms: Annotated[int, msgspec.Meta(ge=1_000, le=120_000)] = 10_000
    executor_silence_ms: Annotated[int, msgspec.Meta(ge=1_000, le=60_000)] = 3_000
    recon_silence_ms: Annotated[int, msgspec.Meta(ge=1_000, le=10_000)] = 2_000
    book_stale_ms: Annotated[int, msgspec.Meta(ge=1_000, le=60_000)] = 5_000
    nonce_life_ms: Annotated[int, msgspec.Meta(ge=1_000, le=60_000)] = 60_000
    emergency_repeat_ms: Annotated[int, msgspec.Meta(ge=500, le=60_000)] = 1_000


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The riskguard's whole configuration."""

    common: Common = Common()
    venue: Venue = Venue()
    limits: Limits
    day: Day = Day()
    timing: Timing = Timing()

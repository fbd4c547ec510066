"""What the riskguard can be told: its limits (all required), its day, its clocks, and its venue key."""

from __future__ import annotations

from typing import Annotated

import msgspec

from libs.common.control.ramp import Ramp
from libs.common.control.settings import Control
from libs.common.control.signing import LIFE_MS_MAX
from libs.common.runtime.config import Common, Venue
from services.riskguard.core.limits import Limits


class Day(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a trading day begins: an hour in a zone of the tz database, for example ``America/New_York``."""

    zone: str = "UTC"
    start_hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 0


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often to look, and how long a silence may last.

    Attributes:
        evaluate_ms: Time between evaluations of all triggers; also the pulse of the emergency lane.
        listing_ms: Time between readings of orders, fills, positions, settlements at the venue.
        exchange_ms: Time between questions whether the exchange trades.
        slow_ms: Time between readings of keys, tier, announced fees and schedule; a failed one is tried
            again after five seconds at most.
        host_ms: Time between looks at our disk and at the files of our credentials.
        listing_fresh_ms: Older readings close the permit.
        executor_silence_ms: Without the leader's heartbeat for this long the permit closes, and where orders
            rest the emergency lane acts.
        recon_silence_ms: The reconciler's permit counts for this long.
        book_stale_ms: Age of a book, by exchange time, at which a market that we are in pauses us.
        nonce_life_ms: A resume or a raised limit must be confirmed within this; two people who must sign
            need more than a minute, and get at most five.
        emergency_repeat_ms: Time between rungs of the emergency lane; longer than the venue's read lag.
    """

    evaluate_ms: Annotated[int, msgspec.Meta(ge=50, le=1_000)] = 250
    listing_ms: Annotated[int, msgspec.Meta(ge=200, le=60_000)] = 2_000
    exchange_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 500
    slow_ms: Annotated[int, msgspec.Meta(ge=200, le=600_000)] = 60_000
    host_ms: Annotated[int, msgspec.Meta(ge=200, le=600_000)] = 5_000
    listing_fresh_ms: Annotated[int, msgspec.Meta(ge=1_000, le=120_000)] = 10_000
    executor_silence_ms: Annotated[int, msgspec.Meta(ge=1_000, le=60_000)] = 3_000
    recon_silence_ms: Annotated[int, msgspec.Meta(ge=1_000, le=10_000)] = 2_000
    book_stale_ms: Annotated[int, msgspec.Meta(ge=1_000, le=60_000)] = 5_000
    nonce_life_ms: Annotated[int, msgspec.Meta(ge=1_000, le=LIFE_MS_MAX)] = 60_000
    emergency_repeat_ms: Annotated[int, msgspec.Meta(ge=500, le=60_000)] = 1_000


class Owners(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who answers for a control; `dora attest` shows it, nothing else reads it.

    Attributes:
        default: For every control that is not named.
        named: By a trigger's name, or ``gate.`` and the name of a rule of the executor's gate.
    """

    default: str = "nobody is named"
    named: dict[str, str] = {}


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The riskguard's whole configuration."""

    common: Common = Common()
    venue: Venue = Venue()
    limits: Limits
    day: Day = Day()
    timing: Timing = Timing()
    control: Control = Control()
    ramp: Ramp = Ramp()
    owners: Owners = Owners()

    def __post_init__(self) -> None:
        self.control.check(self.common.env)

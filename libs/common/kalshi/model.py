"""The venue's nouns in our units: what REST answers and feed messages become after parsing.

Everything here is exact and frozen. Raw strings stay in the parsing modules
beside this one. ``shard`` is the venue's ``exchange_index`` (absent means 0).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from libs.common.domain.side import Side
from libs.common.messages.market import BandV1, MarketState


class VenueOrderStatus(enum.StrEnum):
    """The venue's words, plus the one for words we do not know."""

    RESTING = "resting"
    CANCELED = "canceled"
    EXECUTED = "executed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """One own order as the venue tells it, by listing or by ``user_order``."""

    order_id: str
    client_order_id: str
    market: str
    shard: int
    side: Side
    price_e4: int
    initial_e2: int
    filled_e2: int
    remaining_e2: int
    status: VenueOrderStatus
    order_group_id: str = ""
    expires_ms: int | None = None
    reason: str = ""
    """``last_update_reason`` of the feed, empty from REST."""
    updated_ms: int = 0


@dataclass(frozen=True, slots=True)
class VenueFill:
    """One own fill; ``(trade_id, order_id)`` identifies it on every path."""

    trade_id: str
    order_id: str
    client_order_id: str
    """Empty on REST, which no longer carries it (kalshi-api 16.3)."""
    market: str
    shard: int
    side: Side
    price_e4: int
    qty_e2: int
    fee_e6: int
    is_taker: bool
    venue_ms: int
    position_after_e2: int | None = None
    """Signed position after this fill; only on the feed."""


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """One market position as the venue tells it."""

    market: str
    shard: int
    qty_e2: int
    exposure_e6: int
    realised_e6: int
    fees_e6: int


@dataclass(frozen=True, slots=True)
class VenueSettlement:
    """One settled market."""

    market: str
    event: str
    shard: int
    result: str
    yes_e2: int
    no_e2: int
    revenue_e6: int
    """What the balance received, from integer cents."""
    fee_e6: int
    """The part of a cent that was not paid out, told as a fee (kalshi-api 22.4)."""
    settled_ms: int

    @property
    def gross_e6(self) -> int:
        """Return the payout before it was cut to whole cents."""
        return self.revenue_e6 + self.fee_e6


OUTSIDE_SHARD: Final = -1
"""Where a transfer leaves for, or comes from, another exchange of the venue: no shard of ours."""


@dataclass(frozen=True, slots=True)
class VenueTransfer:
    """Money of ours moved between shards; asynchronous, so it is ``pending`` before it is ``complete``."""

    transfer_id: str
    from_shard: int
    """Or `OUTSIDE_SHARD`."""
    to_shard: int
    """Or `OUTSIDE_SHARD`."""
    amount_e6: int
    """Never negative."""
    status: str
    created_ms: int
    """Told in whole seconds; when it completed is not told at all."""

    @property
    def is_complete(self) -> bool:
        """Return whether the money has arrived; any other word means that it may have left."""
        return self.status == "complete"


@dataclass(frozen=True, slots=True)
class VenueFunding:
    """A deposit (positive) or a withdrawal (negative); the venue does not tell on which shard."""

    funding_id: str
    amount_e6: int
    """Signed, from integer cents, without the fee."""
    status: str
    """``pending``, ``applied``, ``failed``, ``returned``; only ``applied`` is in the balance."""
    finalized_ms: int
    """When the status became final, told in whole seconds; 0 while it is pending."""
    fee_e6: int = 0

    @property
    def is_applied(self) -> bool:
        """Return whether the balance shows it."""
        return self.status == "applied"


@dataclass(frozen=True, slots=True)
class VenueBalance:
    """Cash; resting orders are not subtracted by the venue."""

    total_e6: int
    by_shard: Mapping[int, int]
    updated_ms: int


@dataclass(frozen=True, slots=True)
class VenueMarket:
    """One market."""

    market: str
    event: str
    shard: int
    state: MarketState
    title: str
    grid: tuple[BandV1, ...]
    open_ms: int
    close_ms: int
    can_close_early: bool
    result: str = ""
    settlement_value_e4: int | None = None
    fee_waiver_until_ms: int | None = None
    volume_e2: int = 0


@dataclass(frozen=True, slots=True)
class VenueEvent:
    """One event; fee overrides are None where the series' terms hold."""

    event: str
    series: str
    title: str
    shard: int
    is_mutually_exclusive: bool
    fee_type_override: str | None = None
    fee_multiplier_override_e4: int | None = None
    markets: tuple[VenueMarket, ...] = ()


@dataclass(frozen=True, slots=True)
class VenueSeries:
    """One series."""

    series: str
    title: str
    fee_type: str
    fee_multiplier_e4: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """One token bucket as the account endpoint tells it."""

    refill_per_s: int
    capacity: int


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """Tier and buckets of the account."""

    tier: str
    read: Bucket
    write: Bucket
    expires_ms: int | None = None
    """When the last grant that this tier rests on ends; None: it is permanent, or the venue tells of none."""


@dataclass(frozen=True, slots=True)
class EndpointCosts:
    """Token costs by method and path template; anything not listed costs ``default``."""

    default: int
    by_endpoint: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VenueKey:
    """One API key of the account."""

    key_id: str
    name: str
    scopes: frozenset[str]
    """The venue's words, e.g. ``read``, ``write::trade``; a parent (``write``) grants all its children."""


@dataclass(frozen=True, slots=True)
class VenueKeys:
    """All API keys of the account."""

    keys: tuple[VenueKey, ...]
    region_expires_ms: int | None
    """When the account's location attestation lapses, or lapsed; None: it never attested."""


@dataclass(frozen=True, slots=True)
class Session:
    """One trading session in minutes after midnight, US Eastern; past 1,440 is the next day."""

    opens: int
    closes: int


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """The sessions of each weekday, Monday first, and from when to when they hold."""

    start_ms: int
    end_ms: int
    days: tuple[tuple[Session, ...], ...]


@dataclass(frozen=True, slots=True)
class ExchangeSchedule:
    """What the exchange promises: opening hours, and windows (from, to) in which it may be away."""

    hours: tuple[WeeklyHours, ...]
    maintenance: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class FeeChange:
    """An announced change of fees: of a series, or, with an ``event``, of that event's override."""

    change_id: str
    series: str
    event: str
    fee_type: str | None
    """None, with the multiplier: the override ends and the series' own terms hold again."""
    multiplier_e4: int | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """Whether the exchange and each shard trade."""

    exchange_active: bool
    trading_active: bool
    by_shard: Mapping[int, tuple[bool, bool]]
    """Shard to (exchange active, trading active)."""


@dataclass(frozen=True, slots=True)
class VenueOrderGroup:
    """One order group."""

    order_group_id: str
    shard: int
    limit_e2: int | None
    is_auto_cancel_enabled: bool
    order_ids: tuple[str, ...] = ()


# What became of a write ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue did it and named the order we meant."""

    order_id: str
    client_order_id: str
    filled_e2: int
    remaining_e2: int
    """Resting now; for a cancel 0."""
    reduced_by_e2: int
    """Cancelled by this request; 0 for creates."""
    venue_ms: int
    has_remaining: bool = True
    """False for an amend whose answer told no remaining count: the size is as it was (kalshi-api 13.3)."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue proved that it did nothing."""

    status: int
    code: str
    """Lower case; ``too_many_requests`` for 429."""
    message: str
    is_rate_limit: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have happened; only evidence settles it (design rule 5)."""

    status: int
    """HTTP status, 0 if none arrived."""
    reason: str
    """``timeout``, ``connection``, ``server_error``, ``unparseable``, ``foreign_echo``, ``missing_item``,
    ``no_order_id``."""


Outcome = Accepted | Refused | Unknown


# What a feed session emits ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """A whole book; levels best first, YES prices on both sides."""

    market: str
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    clock: int
    venue_ms: int


@dataclass(frozen=True, slots=True)
class BookDelta:
    """A signed change of one level; YES price."""

    market: str
    side: Side
    price_e4: int
    change_e2: int
    clock: int
    venue_ms: int


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One public trade; the taker's side tells who crossed."""

    market: str
    trade_id: str
    price_e4: int
    qty_e2: int
    taker_side: Side
    venue_ms: int


@dataclass(frozen=True, slots=True)
class OwnFill:
    """A fill of ours on the private feed."""

    fill: VenueFill


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """A change of one of our orders on the private feed."""

    order: VenueOrder


@dataclass(frozen=True, slots=True)
class OwnPosition:
    """A market position of ours on the private feed."""

    position: VenuePosition


@dataclass(frozen=True, slots=True)
class GroupUpdate:
    """An order group changed: ``created``, ``triggered``, ``reset``, ``deleted``, ``limit_updated``."""

    order_group_id: str
    event_type: str
    limit_e2: int | None
    venue_ms: int


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A market's life: the event word of the venue and the fields it changed."""

    event_type: str
    market: str
    close_ms: int | None = None
    result: str | None = None
    settlement_value_e4: int | None = None
    grid: tuple[BandV1, ...] | None = None
    shard: int | None = None
    event: str | None = None
    fee_type: str | None = None
    fee_multiplier_e4: int | None = None


@dataclass(frozen=True, slots=True)
class FeedStale:
    """These markets' books can no longer be trusted; an empty tuple means every one of the session."""

    markets: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class FeedHeard:
    """The venue spoke in order at this exchange time: books are current up to here."""

    as_of_ms: int


@dataclass(frozen=True, slots=True)
class FeedSubscribed:
    """Every channel of a session without books is subscribed: from here on what happens is told.

    What happened before is not: without sequence numbers only reads can tell (kalshi-api 23.5).
    """


@dataclass(frozen=True, slots=True)
class FeedClosed:
    """The session is over; everything it told is history. Sent on disconnect."""

    reason: str


FeedEvent = (
    BookSnapshot
    | BookDelta
    | PublicTrade
    | OwnFill
    | OwnOrder
    | OwnPosition
    | GroupUpdate
    | Lifecycle
    | FeedStale
    | FeedHeard
    | FeedSubscribed
    | FeedClosed
)

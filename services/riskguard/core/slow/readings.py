"""What the shell reads now and then, each by itself: one that fails takes no other with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.kalshi.model import AccountLimits, ExchangeSchedule, FeeChange
from libs.common.messages.market import FeeTermsV1


@dataclass(frozen=True, slots=True)
class KeysRead:
    """Our own key among the account's.

    Attributes:
        scopes: What our key may do; None where the venue does not list it.
        movers: How many other keys of the account may move funds.
        region_expires_ms: When the location attestation lapses; None: the account never attested.
    """

    scopes: frozenset[str] | None
    movers: int
    region_expires_ms: int | None


@dataclass(frozen=True, slots=True)
class TierRead:
    """What the account may ask for."""

    limits: AccountLimits


@dataclass(frozen=True, slots=True)
class FeesRead:
    """Every announced change of fees that is still to come."""

    changes: tuple[FeeChange, ...]


@dataclass(frozen=True, slots=True)
class EventFees:
    """The venue's own word about the fees of one event, asked for at ``started_ms``.

    Attributes:
        override: Type and multiplier of the event, None where the series' hold.
        series_terms: Type and multiplier of the series.
        waived_until_ms: Of markets that are waived.
    """

    event: str
    series: str
    started_ms: int
    override: tuple[str | None, int | None]
    series_terms: tuple[str, int]
    waived_until_ms: Mapping[str, int] = field(default_factory=dict)

    def fee_of(self, market: str, now_ms: int) -> FeeTermsV1:
        """Return what a fill in a market of the event costs now."""
        (fee_type, multiplier_e4), (series_type, series_e4) = self.override, self.series_terms
        if now_ms < self.waived_until_ms.get(market, 0):
            multiplier_e4 = 0
        return FeeTermsV1(
            fee_type=fee_type or series_type,
            multiplier_e4=series_e4 if multiplier_e4 is None else multiplier_e4,
        )

    def is_as(self, change: FeeChange) -> bool:
        """Return whether the venue does what it announced."""
        terms = (change.fee_type, change.multiplier_e4)
        return terms == (self.override if change.event else self.series_terms)


@dataclass(frozen=True, slots=True)
class ScheduleRead:
    """Opening hours and maintenance."""

    schedule: ExchangeSchedule


@dataclass(frozen=True, slots=True)
class FilesRead:
    """When each credential's file was written, Unix; None where it cannot be looked at."""

    written_ms: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class DiskRead:
    """The file system of our state: what is used, and what is free to us."""

    used_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read, by the kind's word, and why."""

    kind: str
    reason: str


SlowRead = KeysRead | TierRead | FeesRead | EventFees | ScheduleRead | FilesRead | DiskRead | Unread

KINDS: Mapping[type, str] = {
    KeysRead: "keys",
    TierRead: "tier",
    FeesRead: "fees",
    EventFees: "event_fees",
    ScheduleRead: "schedule",
    FilesRead: "files",
    DiskRead: "disk",
}

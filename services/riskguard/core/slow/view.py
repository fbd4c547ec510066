"""What the triggers of this area see at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class SlowView:
    """How much is left of what ends, and what changed a moment ago; None is unknown, or never.

    Attributes:
        key_scopes: What our own key may do.
        keys_that_move: How many other keys of the account may move funds.
        region_left_ms: Until the location attestation lapses; negative once it has.
        credential_ages_ms: Of each credential's file, by name.
        tier_left_ms: Until the tier ends.
        tier_share_e4: What the account may write now, of the most since our start.
        tier_settling_ms: Since the venue lowered it.
        fee_left_ms: Until the next announced change of fees where we hold or quote.
        fee_problems: Where a change is due and its new fee is not what marketdata says; one text each.
        grid_settling_ms: Since a price grid changed under our orders.
        grid_market: Whose.
        pause_left_ms: Until the exchange closes by its schedule; zero while it is closed by it.
        disk_used_e4: Share of the state's disk that is used.
        disk_free_bytes: What is free of it.
        disk_left_ms: Until `SlowLimits.disk_used_e4` at the growth of the last hours.
        ages_ms: Of each reading.
        warnings: What people should know and nothing fires for, by a key that stays while it is so.
    """

    key_scopes: frozenset[str] | None = None
    keys_that_move: int = 0
    region_left_ms: int | None = None
    credential_ages_ms: Mapping[str, int] = field(default_factory=dict)
    tier_left_ms: int | None = None
    tier_share_e4: int | None = None
    tier_settling_ms: int | None = None
    fee_left_ms: int | None = None
    fee_problems: tuple[str, ...] = ()
    grid_settling_ms: int | None = None
    grid_market: str = ""
    pause_left_ms: int | None = None
    disk_used_e4: int | None = None
    disk_free_bytes: int | None = None
    disk_left_ms: int | None = None
    ages_ms: Mapping[str, int] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)

    def gauges(self, credential_days_max: int) -> dict[str, float]:
        """Return what is left, for the status; what is unknown is not there."""
        oldest_ms = max(self.credential_ages_ms.values(), default=None)
        credential_ms = None if oldest_ms is None else credential_days_max * DAY_MS - oldest_ms
        told = {
            "attestation_days_left": _in(self.region_left_ms, DAY_MS),
            "credential_days_left": _in(credential_ms, DAY_MS),
            "tier_days_left": _in(self.tier_left_ms, DAY_MS),
            "tier_share_e4": self.tier_share_e4,
            "fee_change_hours_left": _in(self.fee_left_ms, HOUR_MS),
            "scheduled_pause_minutes_left": _in(self.pause_left_ms, MINUTE_MS),
            "grid_settling_ms": self.grid_settling_ms,
            "disk_used_e4": self.disk_used_e4,
            "disk_free_mb": _in(self.disk_free_bytes, 1_000_000),
            "disk_days_left": _in(self.disk_left_ms, DAY_MS),
            "key_can_move_funds": None if self.key_scopes is None else can_move(self.key_scopes),
            "keys_that_move_funds": self.keys_that_move,
        }
        ages = {f"{kind}_read_age_s": age_ms // 1_000 for kind, age_ms in self.ages_ms.items()}
        return {name: float(value) for name, value in (told | ages).items() if value is not None}


def can_move(scopes: frozenset[str]) -> bool:
    """Return whether a key of these scopes can move funds (kalshi-api 2.6)."""
    return not scopes.isdisjoint(("write", "write::transfer"))


def _in(amount: int | None, unit: int) -> float | None:
    return None if amount is None else round(amount / unit, 2)

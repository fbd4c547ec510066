"""What this area may come to: no field has a default, and zero means zero."""

from __future__ import annotations

from typing import Annotated

import msgspec

NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class SlowLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Days and hours left, shares of a disk, and how long a change may take to settle.

    Attributes:
        forbid_transfers: Pause while our own key may move funds, or nobody knows whether it may.
        attestation_required: Pause when the location attestation lapses; false where nothing of sports,
            elections or entertainment is quoted, which is all that the venue then refuses.
        attestation_warn_days: Tell when the location attestation lapses within so many days.
        attestation_stop_days: Pause when it does; zero: when it has lapsed.
        credential_warn_days: Tell when a credential's file is older.
        credential_days_max: Pause when it is older; a large number allows any age.
        tier_warn_days: Tell when the account's tier ends within so many days.
        tier_settle_ms: Pause for so long after the venue lowered what the account may ask for.
        fee_warn_hours: Tell of an announced change of our fees so many hours before.
        fee_lead_ms: Pause so long before it.
        fee_settle_ms: After so long the venue's own word about a fee is believed, whatever was announced.
        grid_settle_ms: Pause for so long after the price grid of a market changed under our orders.
        schedule_lead_ms: Pause so long before the exchange closes by its schedule.
        disk_warn_e4: Tell when more of the state's disk is used, ten-thousandths.
        disk_high_e4: Tell again when more is used.
        disk_used_e4: Pause when more is used.
        disk_free_mb_min: Pause when less is free, millions of bytes.
    """

    forbid_transfers: bool
    attestation_required: bool
    attestation_warn_days: NotNegative
    attestation_stop_days: NotNegative
    credential_warn_days: NotNegative
    credential_days_max: NotNegative
    tier_warn_days: NotNegative
    tier_settle_ms: NotNegative
    fee_warn_hours: NotNegative
    fee_lead_ms: NotNegative
    fee_settle_ms: NotNegative
    grid_settle_ms: NotNegative
    schedule_lead_ms: NotNegative
    disk_warn_e4: NotNegative
    disk_high_e4: NotNegative
    disk_used_e4: NotNegative
    disk_free_mb_min: NotNegative

"""What this area may come to: no field has a default, and zero means zero."""

from __future__ import annotations

from typing import Annotated

import msgspec

from services.riskguard.core.money.round_trips import TRIPS_MAX

NotNegative = Annotated[int, msgspec.Meta(ge=0)]
FillCount = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
WithinMs = Annotated[int, msgspec.Meta(ge=1_000, le=604_800_000)]


class MoneyLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Money in millionths of a dollar, prices in ten-thousandths, quantities in hundredths of a contract.

    Attributes:
        losses_max: Halt when this many of the newest round trips lost (D-061).
        losses_window: How many round trips are looked at.
        losses_within_ms: Trips that closed longer ago are not.
        losses_min_e6: A trip that lost this much or less has not lost: noise.
        balance_drop_e6: Halt when equity of all shards fell by this or more from opening or peak (D-066).
        shard_drop_e6: The same for each shard.
        slippage_e4: Halt when taker fills cost more than this beyond the middle, on average (D-065).
        slippage_fills: How many of the newest fills the average takes.
        slippage_fills_min: With fewer there is none.
        slippage_within_ms: Older fills are not in it.
        markout_e4: Halt when the middle moves by more than this against us after maker fills, on average.
        markout_after_ms: How long after.
        markout_fills: How many of the newest fills the average takes.
        markout_fills_min: With fewer there is none.
        markout_within_ms: Older fills are not in it.
        event_position_e2: Halt when the positions of an event, each as if positive, are more than this.
        series_position_e2: The same for a series.
        account_position_e2: The same for everything.
        series_exposure_e6: Halt when the worst case of a series is larger, resting orders included.
    """

    losses_max: NotNegative
    losses_window: Annotated[int, msgspec.Meta(ge=1, le=TRIPS_MAX)]
    losses_within_ms: WithinMs
    losses_min_e6: NotNegative
    balance_drop_e6: NotNegative
    shard_drop_e6: NotNegative
    slippage_e4: NotNegative
    slippage_fills: FillCount
    slippage_fills_min: FillCount
    slippage_within_ms: WithinMs
    markout_e4: NotNegative
    markout_after_ms: Annotated[int, msgspec.Meta(ge=1, le=300_000)]
    markout_fills: FillCount
    markout_fills_min: FillCount
    markout_within_ms: WithinMs
    event_position_e2: NotNegative
    series_position_e2: NotNegative
    account_position_e2: NotNegative
    series_exposure_e6: NotNegative

"""What the triggers of this area see at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MoneyView:
    """Money in millionths of a dollar, prices in ten-thousandths, quantities in hundredths of a contract.

    Attributes:
        trips: Results of the newest round trips within the window, oldest first.
        balance_drop_e6: How far equity of all shards lies below opening or peak.
        shard_drops_e6: The same for each shard, by its number.
        slippage_e4: Mean cost of taker fills beyond the middle, None with too few of them.
        markout_e4: Mean move against us after maker fills, None with too few of them.
        event_positions: Sum of the positions of each event, each as if positive.
        series_positions: The same for each series.
        account_position_e2: The same for everything.
        series_exposure_e6: Worst-case loss of each series.
    """

    trips: tuple[int, ...] = ()
    balance_drop_e6: int = 0
    shard_drops_e6: Mapping[str, int] = field(default_factory=dict)
    slippage_e4: int | None = None
    markout_e4: int | None = None
    event_positions: Mapping[str, int] = field(default_factory=dict)
    series_positions: Mapping[str, int] = field(default_factory=dict)
    account_position_e2: int = 0
    series_exposure_e6: Mapping[str, int] = field(default_factory=dict)

    def losing_trips(self, more_than_e6: int) -> int:
        """Return how many of the round trips lost more than this: what is less is noise."""
        return sum(result_e6 < -more_than_e6 for result_e6 in self.trips)

    def gauges(self, losses_min_e6: int) -> dict[str, float]:
        """Return what the status shows; a mean that nobody knows is left out."""
        means = {"slippage_e4": self.slippage_e4, "markout_e4": self.markout_e4}
        return {
            "balance_drop_e6": self.balance_drop_e6,
            "losing_trips": self.losing_trips(losses_min_e6),
            "worst_trip_e6": min(self.trips, default=0),
            **{name: mean_e4 for name, mean_e4 in means.items() if mean_e4 is not None},
        }

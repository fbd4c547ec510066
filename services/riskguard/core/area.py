"""One area of what the guard watches: it hears what it cares about and ignores the rest.

Times are monotonic nanoseconds unless the name says ``ms`` (Unix milliseconds).
An area decides nothing: it keeps numbers that triggers compare with limits.
"""

from __future__ import annotations

from libs.common.kalshi.model import ExchangeStatus, VenueFill, VenueOrder
from libs.common.messages.execution import EpochV1, OrderV1
from libs.common.messages.health import BeatV1, StatusV1
from libs.common.messages.market import MarketV1, TopV1
from libs.common.messages.risk import ReconResultV1
from services.riskguard.core.reading import Reading


class Area:
    """Hears nothing; areas overrule what they want to hear."""

    def on_fill(self, fill: VenueFill, now_ns: int) -> None:
        """Take a fill, each once, whatever path it came by."""

    def on_own_order(self, order: VenueOrder, now_ns: int) -> None:
        """Take an order of ours as our own private feed tells it."""

    def on_order(self, order: OrderV1, now_ns: int) -> None:
        """Take the executor's word about an order."""

    def on_top(self, top: TopV1, now_ns: int) -> None:
        """Take a touch."""

    def on_status(self, status: MarketV1, now_ns: int) -> None:
        """Take what a market is."""

    def on_reading(self, reading: Reading, now_ns: int) -> None:
        """Take one whole reading of the venue."""

    def on_read_failed(self, reason: str, now_ns: int) -> None:
        """Take the news that the venue could not be read."""

    def on_epoch(self, epoch: EpochV1, sequence: int, now_ns: int) -> None:
        """Take an executor's epoch, stored ones from before our start included."""

    def on_beat(self, beat: BeatV1, now_ns: int) -> None:
        """Take a heartbeat of any service."""

    def on_said(self, status: StatusV1, now_ns: int) -> None:
        """Take the executor's answer to our question for its status, about once a second."""

    def on_recon(self, result: ReconResultV1, now_ns: int) -> None:
        """Take the result of one comparison."""

    def on_exchange(self, status: ExchangeStatus, now_ns: int) -> None:
        """Take whether exchange and shards trade."""

    def on_tick(self, now_ns: int, now_ms: int) -> None:
        """Take the pulse, a few times a second."""

    def begin_day(self, day_ms: int) -> None:
        """Begin a new trading day."""

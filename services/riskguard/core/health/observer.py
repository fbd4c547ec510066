"""Gathers how the machinery is, for the triggers of this area."""

from __future__ import annotations

from libs.common.kalshi.model import ExchangeStatus, VenueFill, VenueOrder
from libs.common.kalshi.server_clock import ClockBounds
from libs.common.messages.execution import EpochV1
from libs.common.messages.health import BeatV1
from services.riskguard.core.area import Area
from services.riskguard.core.health.boots import Boots
from services.riskguard.core.health.clocks import Clocks
from services.riskguard.core.health.exchange import ExchangeWatch
from services.riskguard.core.health.limits import HealthLimits
from services.riskguard.core.health.roll import Roll
from services.riskguard.core.health.view import HealthView
from services.riskguard.core.reading import Reading


class Health(Area):
    """Heartbeats, clocks, starts and the exchange's state."""

    def __init__(self, limits: HealthLimits) -> None:
        self.limits = limits
        self._roll = Roll()
        self._boots = Boots(limits.boots_window_ms)
        self._clocks = Clocks()
        self._exchange = ExchangeWatch()

    def on_beat(self, beat: BeatV1, now_ns: int) -> None:
        """Take a heartbeat of any service, our own included."""
        self._roll.on_beat(beat, now_ns)
        self._boots.on_beat(beat, now_ns)
        self._clocks.on_beat(beat, now_ns)

    def on_stored_epoch(self, epoch: EpochV1, stored_ms: int) -> None:
        """Take an executor's epoch with the time at which the stream stored it."""
        self._boots.on_epoch(epoch, stored_ms)

    def on_exchange(self, status: ExchangeStatus, now_ns: int) -> None:
        """Take whether exchange and shards trade."""
        self._exchange.on_status(status, now_ns)

    def on_exchange_clock(self, bounds: ClockBounds, now_ns: int) -> None:
        """Take what an answer of the exchange proves about its clock."""
        self._clocks.on_exchange_clock(bounds, now_ns)

    def on_reading(self, reading: Reading, now_ns: int) -> None:
        """Take where we hold and quote."""
        del now_ns
        self._exchange.on_reading(reading)

    def on_own_order(self, order: VenueOrder, now_ns: int) -> None:
        """Take where we quote."""
        self._exchange.on_own_order(order, now_ns)

    def on_fill(self, fill: VenueFill, now_ns: int) -> None:
        """Take where we hold; only until the next reading says so itself."""
        self._exchange.on_named(fill.shard, now_ns)

    def on_tick(self, now_ns: int, now_ms: int) -> None:
        """Compare our clocks, and begin to count silences."""
        self._roll.on_tick(now_ns)
        self._exchange.on_tick(now_ns)
        self._clocks.on_tick(now_ns, now_ms)

    def view(self, now_ns: int, now_ms: int) -> HealthView:
        """Return what there is to see now."""
        limits = self.limits
        builds, unknown = self._roll.build_problems(now_ns), self._roll.unknown_builds(now_ns)
        skews_ms = self._clocks.skews_ms(now_ns)
        warnings = {
            f"clock of {name}": f"the clock of {name} minus ours is {skew_ms} ms"
            for name, skew_ms in skews_ms.items()
            if abs(skew_ms) > limits.clock_skew_warn_ms
        }
        if unknown:
            text = f"build not told: {', '.join(unknown)}"
            warnings[text] = text
            builds += [text] if limits.is_build_required else []
        return HealthView(
            silences_ms=self._roll.silences_ms(now_ns),
            clock_step_ms=self._clocks.step_ms(),
            clock_skews_ms=skews_ms,
            loop_lags_ms=self._roll.lags_ms(now_ns),
            exchange_problems=tuple(self._exchange.problems(now_ns, limits.exchange_silence_ms)),
            boots=self._boots.counts(now_ns, now_ms),
            build_problems=tuple(builds),
            warnings=warnings,
        )

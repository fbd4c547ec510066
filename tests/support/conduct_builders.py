"""Builders for the riskguard's conduct area: its observer fed with events, its triggers asked by name."""

from __future__ import annotations

from msgspec.structs import replace

from libs.common.messages.health import StatusV1
from services.riskguard.core.conduct.observer import Conduct
from services.riskguard.core.conduct.view import ConductView
from services.riskguard.core.limits import Limits
from services.riskguard.core.reading import Reading
from services.riskguard.core.triggers.base import Fired, View, evaluate
from services.riskguard.core.triggers.registry import TRIGGERS
from tests.support.riskguard_limits import CONDUCT, limits
from tests.support.truth_builders import MS, NOW_MS, S, venue_fill, venue_order


def conduct_limits(**narrow: int) -> Limits:
    """Return wide limits with these of the conduct area narrower."""
    return limits(conduct=replace(CONDUCT, **narrow))


def fired(trigger: str, view: ConductView, **narrow: int) -> Fired | None:
    """Return how one trigger of the registry fires."""
    all_fired = evaluate(TRIGGERS, View(conduct=view), conduct_limits(**narrow))
    return next((one for one in all_fired if one.trigger == trigger), None)


class Seen:
    """A conduct area and its clocks; the first whole reading is behind it unless told otherwise."""

    def __init__(self, *, is_read: bool = True, repeated_window_ms: int = 5_000) -> None:
        self.area = Conduct(replace(CONDUCT, repeated_window_ms=repeated_window_ms), "sim")
        self.now_ns = 1_000 * S
        self.area.on_tick(self.now_ns, NOW_MS)
        self._fills = 0
        if is_read:
            self.reading()

    @property
    def now_ms(self) -> int:
        """Return the wall clock, which is the venue's as well."""
        return NOW_MS + (self.now_ns - 1_000 * S) // MS

    def wait(self, seconds: float) -> None:
        """Let time pass, with a tick at its end."""
        self.now_ns += int(seconds * S)
        self.area.on_tick(self.now_ns, self.now_ms)

    def reading(self, **parts: object) -> None:
        """Take a whole reading, begun now."""
        fields: dict[str, object] = {"orders": (), "fills": (), "positions": (), "settlements": ()}
        reading = Reading(self.now_ns, **{**fields, **parts})  # type: ignore[arg-type]
        self.area.on_reading(reading, self.now_ns)

    def fill(self, *, age_s: float = 0, **changes: object) -> None:
        """Take a fill that happened ``age_s`` ago."""
        self._fills += 1
        fields: dict[str, object] = {
            "trade": f"t{self._fills}",
            "order_id": f"o{self._fills}",
            "venue_ms": self.now_ms - int(age_s * 1_000),
        }
        self.area.on_fill(venue_fill(**{**fields, **changes}), self.now_ns)  # type: ignore[arg-type]

    def order(self, number: int = 1, **changes: object) -> None:
        """Take a word of the private feed about an order of ours, stamped now."""
        order = venue_order(number, **{"updated_ms": self.now_ms, **changes})
        self.area.on_own_order(order, self.now_ns)

    def said(self, run: str = "run", **counters: int) -> None:
        """Take an executor's status."""
        self.area.on_said(executor_status(run, counters), self.now_ns)

    def view(self) -> ConductView:
        """Return what there is to see now."""
        return self.area.view(self.now_ns, self.now_ms)


def executor_status(run: str, counters: dict[str, int]) -> StatusV1:
    """Return an executor's answer to the question for its status."""
    return StatusV1(
        service="executor",
        instance=f"executor-{run}",
        run=run,
        env="sim",
        version="1",
        account="main",
        config_hash="c",
        uptime_s=1,
        is_ready=True,
        state="running",
        reasons=(),
        counters=counters,
        gauges={},
        rss_mb=1.0,
    )

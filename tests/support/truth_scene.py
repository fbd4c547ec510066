"""The reconciler's core, cycle by cycle, with the test as executor, feed and listing."""

from __future__ import annotations

from typing import Any

from libs.common.env import Env
from libs.common.kalshi.model import FeedHeard, OwnFill
from libs.common.messages.execution import RenewV1
from libs.common.messages.risk import OrphanedOrderV1, ReconResultV1
from services.reconciler.core.core import Patience, ReconcilerCore
from services.reconciler.core.effects import AskCancel, Effect, Halt, Publish, Record
from services.reconciler.core.listing_view import Listing
from tests.support.truth_builders import MS, NOW_MS, S, epoch_event, listing

START = 1_000 * S
CYCLE = 10 * S
PATIENCE = Patience(
    cycle_ns=CYCLE,
    cycle_min_ns=S,
    settle_ms=2_000,
    confirm_ns=S,
    confirm_cycles=2,
    fresh_cycles=3,
    escalate_cycles=4,
    executor_silence_ns=4 * S,
    recovery_ns=60 * S,
    in_flight_ns=15 * S,
    halt_after_ns=10 * S,
)


class Scene:
    """A core whose executor leads and whose feed stands; time moves by cycles."""

    def __init__(self, *, leads: bool = True) -> None:
        self.core = ReconcilerCore("main", Env.SIM, PATIENCE)
        self.now = START
        self.halts: list[Halt] = []
        self.asked: list[AskCancel] = []
        self.rows: list[OrphanedOrderV1] = []
        self.renews = leads
        self.feed_hears = True
        if leads:
            self.core.on_epoch(epoch_event(), 10, self.now)
        self.core.on_feed(FeedHeard(NOW_MS - 3_000_000), self.now)
        self.core.on_replayed(self.now)

    @property
    def now_ms(self) -> int:
        return NOW_MS + (self.now - START) // MS

    def cycle(self, **parts: Any) -> ReconResultV1:
        """Let a cycle pass and compare this listing; the feed has told of its fills in time."""
        self.now += CYCLE
        self.core.on_feed(FeedHeard(self.now_ms), self.now)
        for fill in parts.get("fills", ()) if self.feed_hears else ():
            self.core.on_feed(OwnFill(fill), self.now)
        if self.renews:
            self.core.on_renew(RenewV1(account="main", epoch=1, holder="e", counter=self.now), self.now)
        if not self.core._is_reading:
            self.core.on_tick(self.now)
        read: Listing = listing(now_ns=self.now, now_ms=self.now_ms, **parts)
        return self.take(self.core.on_listing(read, "timer", self.now))

    def take(self, effects: list[Effect]) -> ReconResultV1:
        self.halts += [e for e in effects if isinstance(e, Halt)]
        self.asked += [e for e in effects if isinstance(e, AskCancel)]
        self.rows += [e.row for e in effects if isinstance(e, Record)]
        (publish,) = [e for e in effects if isinstance(e, Publish)]
        assert publish.is_clear == (not publish.result.drifts)
        return publish.result

    def is_open(self) -> bool:
        return self.core.permit(self.now)[0]


def kinds(result: ReconResultV1) -> list[str]:
    return [drift.kind for drift in result.drifts]

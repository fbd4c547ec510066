"""Gathers what the triggers of this area look at."""

from __future__ import annotations

from typing import assert_never
from zoneinfo import ZoneInfo

from libs.common.kalshi.model import VenueOrder
from libs.common.messages.market import MarketV1
from services.riskguard.core.area import Area
from services.riskguard.core.reading import Reading
from services.riskguard.core.slow.credentials import CredentialWatch
from services.riskguard.core.slow.disk import DiskWatch
from services.riskguard.core.slow.fees import FeeWatch, Outlook
from services.riskguard.core.slow.freshness import Freshness
from services.riskguard.core.slow.grids import GridWatch
from services.riskguard.core.slow.keys import KeyWatch
from services.riskguard.core.slow.limits import SlowLimits
from services.riskguard.core.slow.markets import Markets
from services.riskguard.core.slow.readings import (
    DiskRead,
    EventFees,
    FeesRead,
    FilesRead,
    KeysRead,
    ScheduleRead,
    SlowRead,
    TierRead,
    Unread,
)
from services.riskguard.core.slow.schedule import VENUE_ZONE, ScheduleWatch
from services.riskguard.core.slow.tier import TierWatch
from services.riskguard.core.slow.view import SlowView


class Slow(Area):
    """One watcher for each slow killer."""

    def __init__(self, limits: SlowLimits) -> None:
        self.limits = limits
        self._markets = Markets()
        self._keys = KeyWatch()
        self._credentials = CredentialWatch()
        self._tier = TierWatch()
        self._fees = FeeWatch()
        self._outlook = Outlook()
        self._grids = GridWatch()
        self._schedule = ScheduleWatch(ZoneInfo(VENUE_ZONE))
        self._disk = DiskWatch()
        self._freshness = Freshness()
        self._now_ms = 0

    def on_status(self, status: MarketV1, now_ns: int) -> None:
        """Take what a market is."""
        before = self._markets.on_status(status)
        self._grids.on_status(status, before, self._markets, now_ns)

    def on_reading(self, reading: Reading, now_ns: int) -> None:
        """Take where we hold and quote."""
        del now_ns
        self._markets.on_reading(reading)

    def on_own_order(self, order: VenueOrder, now_ns: int) -> None:
        """Take where we quote."""
        self._markets.on_own_order(order, now_ns)

    def on_tick(self, now_ns: int, now_ms: int) -> None:
        """Take the wall clock, and see how the fees stand."""
        self._now_ms = now_ms
        self._outlook = self._fees.look(self.limits, self._markets, now_ns, now_ms)

    def on_read(self, read: SlowRead, now_ns: int) -> list[str]:
        """Take one reading and return what must be told at once."""
        self._freshness.on_read(read, now_ns)
        match read:
            case KeysRead():
                self._keys.on_keys(read)
            case TierRead(limits):
                return self._tier.on_limits(limits, now_ns)
            case FeesRead(changes):
                self._fees.on_changes(changes, self._now_ms)
            case EventFees():
                self._fees.on_event_fees(read)
            case ScheduleRead(schedule):
                self._schedule.on_schedule(schedule)
            case FilesRead():
                self._credentials.on_files(read)
            case DiskRead():
                self._disk.on_disk(read, now_ns)
            case Unread():
                pass
            case _:
                assert_never(read)
        return []

    def fees_to_ask(self, now_ns: int) -> tuple[str, ...]:
        """Return the events whose fees the venue should be asked for now; empty most of the time."""
        return self._fees.ask(self._outlook, now_ns)

    def view(self, now_ns: int, now_ms: int) -> SlowView:
        """Return what there is to see now."""
        warnings, limits = dict(self._outlook.warnings), self.limits
        for told in (
            self._keys.warnings(limits, now_ms),
            self._credentials.warnings(limits, now_ms),
            self._tier.warnings(limits, now_ms),
            self._disk.warnings(limits),
            self._freshness.warnings(),
        ):
            warnings.update(told)
        return SlowView(
            key_scopes=self._keys.scopes,
            keys_that_move=self._keys.movers,
            region_left_ms=self._keys.region_left_ms(now_ms),
            credential_ages_ms=self._credentials.ages_ms(now_ms),
            tier_left_ms=self._tier.left_ms(now_ms),
            tier_share_e4=self._tier.share_e4(),
            tier_settling_ms=self._tier.settling_ms(now_ns),
            fee_left_ms=self._outlook.left_ms,
            fee_problems=self._outlook.problems,
            grid_settling_ms=self._grids.settling_ms(now_ns),
            grid_market=self._grids.market,
            pause_left_ms=self._schedule.left_ms(now_ms),
            disk_used_e4=self._disk.used_e4,
            disk_free_bytes=self._disk.free_bytes,
            disk_left_ms=self._disk.left_ms(limits),
            ages_ms=self._freshness.ages_ms(now_ns),
            warnings=warnings,
        )

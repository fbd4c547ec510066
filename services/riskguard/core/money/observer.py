"""Gathers what the triggers of this area look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.common.kalshi.model import VenueFill
from libs.common.messages.market import TopV1
from services.riskguard.core.account import Account
from services.riskguard.core.area import Area
from services.riskguard.core.exposure import Exposures
from services.riskguard.core.money.balance import BalanceReading, Balances, Drops
from services.riskguard.core.money.fill_quality import FillQuality, WeightedMean
from services.riskguard.core.money.limits import MoneyLimits
from services.riskguard.core.money.mids import Mids
from services.riskguard.core.money.view import MoneyView

_S: Final = 1_000_000_000
_LATE_MS: Final = 60_000
"""Fills may be told this late and still find the middle of their time."""
_READ_NS: Final = 10 * _S
_READ_AGAIN_NS: Final = 2 * _S
_READ_LATE_NS: Final = 30 * _S
"""A question without an answer is asked again after this."""
_FRESH_NS: Final = 60 * _S


class Money(Area):
    """See the package.

    The balance has a bucket of its own at the venue, one look a second for the whole account, and
    others look too. So it is read every ten seconds, in doubt after two; a look that fails changes
    nothing, until the last good one is a minute old.
    """

    def __init__(self, limits: MoneyLimits) -> None:
        self.limits = limits
        self.balances = Balances()
        self.balance_reads = 0
        self.failed = ""
        """Why the newest look at the balance failed; empty after a good one."""
        self._started_ns: int | None = None
        self._read_ns: int | None = None
        self._asked_ns: int | None = None
        self._is_asking = False
        self._quality = FillQuality(
            Mids(limits.markout_after_ms + _LATE_MS),
            limits.markout_after_ms,
            WeightedMean(limits.slippage_fills, limits.slippage_fills_min, limits.slippage_within_ms),
            WeightedMean(limits.markout_fills, limits.markout_fills_min, limits.markout_within_ms),
        )

    def on_fill(self, fill: VenueFill, now_ns: int) -> None:
        """Measure a fill."""
        del now_ns
        self._quality.on_fill(fill)

    def on_top(self, top: TopV1, now_ns: int) -> None:
        """Remember the middle."""
        del now_ns
        self._quality.mids.on_top(top)

    def on_tick(self, now_ns: int, now_ms: int) -> None:
        """Measure what has waited for its time."""
        self._started_ns = now_ns if self._started_ns is None else self._started_ns
        self._quality.on_tick(now_ms)

    def begin_day(self, day_ms: int) -> None:
        """Begin a new day: its baselines start again."""
        del day_ms
        self.balances.begin_day()

    def must_read(self, now_ns: int) -> bool:
        """Return whether the balance is to be read now, and take it that it will be."""
        asked_ns = self._asked_ns
        if asked_ns is None:
            is_due = True
        elif self._is_asking:
            is_due = now_ns - asked_ns >= _READ_LATE_NS
        else:
            is_soon = self.balances.is_in_doubt or self.failed or not self.balances.is_known
            is_due = now_ns - asked_ns >= (_READ_AGAIN_NS if is_soon else _READ_NS)
        if is_due:
            self._asked_ns, self._is_asking = now_ns, True
        return is_due

    def on_balance(self, reading: BalanceReading, account: Account, now_ns: int) -> None:
        """Take a look at the balance; before the account is read there is nothing to compare it with."""
        self._is_asking, self.failed = False, ""
        if account.read_ns is not None:
            self._read_ns = now_ns
            self.balance_reads += 1
            self.balances.on_reading(reading, account, now_ns)

    def on_balance_failed(self, reason: str) -> None:
        """Take the news that the balance could not be read: the last one is kept."""
        self._is_asking, self.failed = False, reason

    def pauses(self, now_ns: int) -> list[str]:
        """Return why trading may not go on: nobody has told us our balance for a minute."""
        since_ns = self._started_ns if self._read_ns is None else self._read_ns
        if since_ns is None or now_ns - since_ns <= _FRESH_NS:
            return []
        why = f": {self.failed}" if self.failed else ""
        return [f"the balance was not read for {(now_ns - since_ns) // _S} s{why}"]

    def view(
        self,
        account: Account,
        positions: Mapping[str, int],
        worst: Exposures,
        now_ns: int,
        now_ms: int,
        *,
        is_known: bool,
    ) -> MoneyView:
        """Return what there is to see now.

        Args:
            account: Our own reading, whole.
            positions: Signed quantity of each market.
            worst: What can still be lost.
            now_ns: Monotonic.
            now_ms: Wall clock, compared with the exchange's stamps.
            is_known: The account and the stored state are read; before that there is no past.
        """
        limits = self.limits
        drops = self.balances.drops(account, now_ns) if is_known else Drops()
        since_ms = now_ms - limits.losses_within_ms
        trips = account.trips(limits.losses_window, since_ms) if is_known else ()
        events: dict[str, int] = {}
        series: dict[str, int] = {}
        for market, qty_e2 in positions.items():
            event, _ = account.marks.event_of(market)
            events[event] = events.get(event, 0) + abs(qty_e2)
            name = account.marks.series_of(market)
            series[name] = series.get(name, 0) + abs(qty_e2)
        return MoneyView(
            trips=tuple(trip.result_e6 for trip in trips),
            balance_drop_e6=drops.total_e6,
            shard_drops_e6={str(shard): drop_e6 for shard, drop_e6 in drops.shards.items()},
            slippage_e4=self._quality.slippage.mean_e4(now_ms),
            markout_e4=self._quality.markout.mean_e4(now_ms),
            event_positions=events,
            series_positions=series,
            account_position_e2=sum(events.values()),
            series_exposure_e6=worst.series,
        )

"""Notice a disagreement between two readings of the venue, by the two witnesses that speak by themselves.

The executor's events and our own private feed tell the same story, a moment
apart. What one of them has and the other still lacks after the settling time is
no verdict, two can never say which of them lies, but it is reason enough to read
the venue now and not at the end of the cycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from libs.common.env import Env
from services.reconciler.core.diff import Difference, diff
from services.reconciler.core.drop_copy_view import DropCopyView
from services.reconciler.core.executor_view import ExecutorView
from services.reconciler.core.listing_view import ListingView
from services.reconciler.core.settle import Key
from services.reconciler.core.witness import SILENT, FillKey, Name, is_ours_in

_NO_LIMIT_MS: Final = 2**62


def glance(  # noqa: PLR0917 - two streams, what is known of the venue, one instant
    env: Env,
    executor: ExecutorView,
    drop_copy: DropCopyView,
    listed: ListingView,
    now_ns: int,
    settle_ms: int,
) -> tuple[Difference, ...]:
    """Return what the two streams disagree on at this instant, honest delays included."""
    equal = _equal(executor, drop_copy)
    word = executor.witness(now_ns, now_ns, _NO_LIMIT_MS, equal)
    heard = drop_copy.witness(now_ns, settle_ms, _NO_LIMIT_MS, {}, equal)
    if heard is SILENT:
        return ()
    # The feed tells changes: what stood before it connected it was never told.
    unheard = executor.orders_before(drop_copy.connected_ns) - drop_copy.resting_keys()
    claims = executor.positions(now_ns)
    witnesses = {
        Name.EXECUTOR: replace(
            word, positions={m: q for m, q in claims.items() if m not in listed.settled_ms}
        ),
        Name.DROP_COPY: replace(
            heard,
            unsure=heard.unsure | unheard,
            positions={m: _venue_says(m, drop_copy.positions(), listed) for m in claims},
        ),
        Name.LISTING: SILENT,
    }
    times_ms: dict[FillKey, int] = {key: fill.venue_ms for key, fill in executor.fills.items()}
    times_ms.update({key: fill.venue_ms for key, fill in drop_copy.fills.items()})
    return diff(witnesses, is_ours=is_ours_in(env), fill_times_ms=times_ms)


@dataclass(slots=True)
class StreamWatch:
    """How long each disagreement of the two streams has lasted; each is reported once while it lasts."""

    settle_ns: int
    _since_ns: dict[Key, int] = field(default_factory=dict)
    _reported: set[Key] = field(default_factory=set)

    def look(self, differences: Iterable[Difference], now_ns: int) -> bool:
        """Take one glance and return whether something has newly outlived the settling time."""
        keys = {(difference.kind, difference.key) for difference in differences}
        self._since_ns = {key: self._since_ns.get(key, now_ns) for key in keys}
        self._reported &= keys
        due = {key for key, since_ns in self._since_ns.items() if now_ns - since_ns >= self.settle_ns}
        due -= self._reported
        self._reported |= due
        return bool(due)


def _equal(executor: ExecutorView, drop_copy: DropCopyView) -> frozenset[str]:
    """Return the orders that both tell alike: nearly all of them, and this is asked four times a second."""
    return frozenset(
        key
        for key, order in executor.resting()
        if (heard := drop_copy.order(key)) is not None
        and heard.price_e4 == order.price_e4
        and heard.remaining_e2 == order.remaining_e2
        and heard.side is order.side
        and heard.market == order.market
    )


def _venue_says(market: str, heard: Mapping[str, int], listed: ListingView) -> int:
    return heard.get(market, listed.positions.get(market, 0))

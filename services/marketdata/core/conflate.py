"""When a book that changed is published: at once if it was quiet, else a little later and once.

A market that changes again before its message left is sent once (design section
5). The first changes after a quiet time leave immediately, so the path from tick to
order waits for nothing; under load one market sends one book an interval, and
all markets together keep a budget, oldest change first. Changes
of the touch, from which quotes are made, have a shorter interval than changes
behind it. A market that does not change is still sent once per refresh time,
because a book is worth only as much as the exchange time it vouches for.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass

import msgspec


class ConflationRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Pace of publication."""

    interval_ms: int = 2
    """Mean time between two books of one market whose touch keeps changing."""
    touch_burst: int = 4
    """So many books of one market may leave at once before that interval counts: a sweep
    through some levels is several changes of the touch, and its last one must not wait."""
    depth_interval_ms: int = 5
    """The same when only levels behind the touch changed."""
    refresh_ms: int = 1_000
    """A book that did not change is sent again after this time."""
    books_per_s_max: int = 5_000
    """Budget over all markets; what exceeds it waits and is merged."""


@dataclass(frozen=True, slots=True)
class Due:
    """A market to publish now.

    Attributes:
        market: Its id.
        origin_ns: Monotonic arrival of the first change of the touch not yet published;
            else of the first change; the time of the poll if nothing changed.
        is_refresh: True if nothing changed and only the exchange time is new.
    """

    market: str
    origin_ns: int
    is_refresh: bool


class Conflator:
    """The set of markets with something to say; times are the caller's monotonic clock."""

    def __init__(self, rules: ConflationRules) -> None:
        self._interval_ns = rules.interval_ms * 1_000_000
        self._credit_ns = self._interval_ns * max(0, rules.touch_burst - 1)
        self._depth_interval_ns = max(rules.depth_interval_ms, rules.interval_ms) * 1_000_000
        self._refresh_ns = rules.refresh_ms * 1_000_000
        self._cost_ns = 1_000_000_000 // max(1, rules.books_per_s_max)
        self._burst_ns = 50_000_000  # twentieth of a second of budget may leave at once
        self._free_ns = 0
        self._origins: dict[str, int] = {}  # pending markets and the arrival that counts
        self._touched: set[str] = set()  # of those: the touch changed
        self._ready: dict[str, None] = {}  # of those: may leave as soon as the budget allows
        self._waiting: list[tuple[int, str]] = []  # of those: not before this time
        self._sent: OrderedDict[str, int] = OrderedDict()  # last publication, oldest first
        self._paid_ns: dict[str, int] = {}  # up to when a market's books have used its intervals

    def add(self, market: str) -> None:
        """Watch a market; its first book leaves with the next poll."""
        self._sent[market] = 0
        self._sent.move_to_end(market, last=False)

    def drop(self, market: str) -> None:
        """Forget a market."""
        self._sent.pop(market, None)
        self._paid_ns.pop(market, None)
        self._origins.pop(market, None)
        self._touched.discard(market)
        self._ready.pop(market, None)

    def mark(self, market: str, origin_ns: int, *, is_touch: bool = True) -> None:
        """Note that a market changed; cheap when it is already pending for the same reason."""
        if is_touch:
            if market in self._touched:
                return
            self._touched.add(market)
            due_ns = self._paid_ns.get(market, 0) - self._credit_ns
        else:
            if market in self._origins:
                return
            due_ns = self._sent.get(market, 0) + self._depth_interval_ns
        self._origins[market] = origin_ns
        if market in self._ready:
            return
        if due_ns <= origin_ns:
            self._ready[market] = None
        else:
            heapq.heappush(self._waiting, (due_ns, market))

    def mark_urgent(self, market: str, origin_ns: int) -> None:
        """Note a change that must not wait for the interval: a book that became stale."""
        self._origins.setdefault(market, origin_ns)
        self._touched.add(market)
        self._ready[market] = None

    def due(self, mono_ns: int) -> list[Due]:
        """Return what to publish now, oldest change first, and count it as published."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= mono_ns:
            market = heapq.heappop(waiting)[1]
            if market in self._origins:
                self._ready[market] = None
        found: list[Due] = []
        for market in list(self._ready):
            if not self._take(mono_ns):
                return found
            del self._ready[market]
            found.append(Due(market, self._origins.pop(market) or mono_ns, is_refresh=False))
            self._mark_sent(market, mono_ns)
        while self._sent:
            market, sent_ns = next(iter(self._sent.items()))
            if (sent_ns and sent_ns + self._refresh_ns > mono_ns) or not self._take(mono_ns):
                break
            origin_ns = self._origins.pop(market, None)
            found.append(Due(market, origin_ns or mono_ns, is_refresh=origin_ns is None))
            self._mark_sent(market, mono_ns)
        return found

    def next_ns(self, mono_ns: int) -> int:
        """Return when to poll next; the present if something could leave now."""
        if self._ready:
            return max(mono_ns, self._free_ns - self._burst_ns)
        refresh_ns = (
            next(iter(self._sent.values())) + self._refresh_ns if self._sent else mono_ns + self._refresh_ns
        )
        if self._waiting:
            return min(self._waiting[0][0], refresh_ns)
        return refresh_ns

    def _mark_sent(self, market: str, mono_ns: int) -> None:
        self._touched.discard(market)
        if market in self._sent:
            self._sent[market] = mono_ns
            self._sent.move_to_end(market)
            self._paid_ns[market] = max(self._paid_ns.get(market, 0), mono_ns) + self._interval_ns

    # The budget as a virtual clock that runs ahead by the cost of each message, at most a burst.
    def _take(self, mono_ns: int) -> bool:
        free_ns = max(self._free_ns, mono_ns)
        if free_ns - mono_ns > self._burst_ns:
            return False
        self._free_ns = free_ns + self._cost_ns
        return True

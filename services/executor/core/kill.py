"""The kill ladder: one per shard, with a time for every rung, done only at an empty listing.

(a) the gate is closed before a ladder exists, (b) every order group in reach is
triggered, (c) cancel-all, (d) what a listing still shows is cancelled one by one; then
a listing must come back empty: only that is `VERIFIED`. Rungs (b) and (c) go out
together, and each shard walks by itself: one that answers 503 delays nobody and stays
`UNVERIFIED` until it heals. Nothing here ever resets a group.

Rules of the file:

* A listing shows the past: reads lag writes (kalshi-api 14.3). One counts only if it
  began the read lag after everything before it was certain: every trigger of the shard
  confirmed, no order of ours left that may rest. A create in flight can not come to rest
  later: its group is triggered; without a trigger its own answer is awaited.
* A trigger without an answer is sent again until it has one. Cancel-all helps but proves
  nothing, so nothing waits for it.
* An order is cancelled by name when such a listing still shows it. While something is not
  certain a listing is worth little and costs the venue much: the first is asked for after
  twice the read lag, then one each read lag, and what it shows is cancelled by name too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.executor.core.kill_scope import WHOLE, KillScope
from services.executor.core.requests import CancelRequest

RUNGS = ("gate", "groups", "cancel_all", "cancels", "empty", "verified")


@dataclass(slots=True)
class ShardLadder:
    """One shard's walk.

    Attributes:
        groups: Ids to trigger.
        settle_ns: How long reads may lag.
        failures: Requests in a row that had no proper answer.
    """

    shard: int
    groups: set[str]
    started_ns: int
    settle_ns: int
    rungs_us: dict[str, int] = field(default_factory=dict)
    is_verified: bool = False
    is_lifted: bool = False
    failures: int = 0
    _confirmed: set[str] = field(default_factory=set)
    _certain_ns: int | None = None
    """Since when nothing can come to rest any more."""
    _listed_ns: int = 0

    @property
    def unconfirmed(self) -> set[str]:
        """Return the groups whose trigger is not confirmed."""
        return self.groups - self._confirmed

    @property
    def is_over(self) -> bool:
        """Return whether nothing is left to do: verified, or lifted with every trigger confirmed."""
        return self.is_verified or (self.is_lifted and not self.unconfirmed)

    def on_triggered(self, order_group_id: str, now_ns: int) -> None:
        """A trigger was confirmed, or the venue said that the group is gone."""
        if order_group_id not in self.unconfirmed:
            return
        self._confirmed.add(order_group_id)
        self.failures = 0
        if not self.unconfirmed:
            self.rung("groups", now_ns)

    def on_cancels_answered(self, now_ns: int) -> None:
        """Cancels by name were answered."""
        self.rung("cancels", now_ns)

    def on_failure(self) -> None:
        """A request had no proper answer."""
        self.failures += 1

    def look(self, now_ns: int, *, may_come: bool) -> int:
        """Return when the next listing is worth beginning.

        Args:
            now_ns: Monotonic.
            may_come: Whether an order in reach may still come to rest or rests, by our own book.
        """
        if self.unconfirmed or may_come:
            self._certain_ns = None
            return max(now_ns, self.started_ns + 2 * self.settle_ns, self._listed_ns + self.settle_ns)
        if self._certain_ns is None:
            self._certain_ns = now_ns
        return max(now_ns, self._certain_ns + self.settle_ns)

    def on_listing(
        self, left: Iterable[CancelRequest], began_ns: int, now_ns: int
    ) -> tuple[CancelRequest, ...]:
        """Take what a listing shows of the reach; return what to cancel by name."""
        self.failures, self._listed_ns = 0, began_ns
        cancels = tuple(left)
        counts = self._certain_ns is not None and began_ns - self._certain_ns >= self.settle_ns
        if cancels:
            is_late = began_ns - self.started_ns >= 2 * self.settle_ns
            return cancels if counts or is_late or not self.groups else ()
        self.rung("empty", now_ns)
        if counts:
            self.is_verified = True
            self.rung("verified", now_ns)
        return ()

    def rung(self, name: str, now_ns: int) -> None:
        """Note that a rung was reached; the first time counts."""
        self.rungs_us.setdefault(name, max(0, now_ns - self.started_ns) // 1_000)


@dataclass(slots=True)
class KillLadder:
    """One halt's walk over all shards in its reach.

    Args:
        reason: Who halted, for the report.
        groups: Every group to trigger: id to shard.
        started_ns: When the halt was heard.
        with_cancel_all: False for an orderly stop, which leaves foreign orders alone and
            must not shadow a quick restart for a minute (kalshi-api 12.3).
        settle_ns: How long reads may lag.
        reach: What must go.
        shards: Where to look, beside the groups' own.
    """

    reason: str
    groups: Mapping[str, int]
    started_ns: int
    with_cancel_all: bool = True
    settle_ns: int = 1_000_000_000
    reach: KillScope = WHOLE
    shards: Iterable[int] = ()
    walks: dict[int, ShardLadder] = field(init=False)
    gate_us: int = 0
    is_cancelled_all: bool = False
    _cancel_all_us: int | None = None

    def __post_init__(self) -> None:
        shards = sorted({*self.shards, *self.groups.values()}) or [0]
        self.walks = {
            shard: ShardLadder(
                shard, {g for g, s in self.groups.items() if s == shard}, self.started_ns, self.settle_ns
            )
            for shard in shards
        }
        if not self.reach.is_whole:
            self.with_cancel_all = False

    def begin(self, now_ns: int) -> None:
        """Note when the gate was closed."""
        self.gate_us = max(0, now_ns - self.started_ns) // 1_000

    def add_groups(self, groups: Mapping[str, int]) -> None:
        """Take over groups that another ladder has not seen triggered: they may still let an order in."""
        for order_group_id, shard in groups.items():
            if shard not in self.walks:
                self.walks[shard] = ShardLadder(shard, set(), self.started_ns, self.settle_ns)
            self.walks[shard].groups.add(order_group_id)

    def on_cancelled_all(self, now_ns: int) -> None:
        """Cancel-all was confirmed."""
        self.is_cancelled_all = True
        self._cancel_all_us = max(0, now_ns - self.started_ns) // 1_000

    @property
    def unconfirmed(self) -> dict[str, int]:
        """Return the groups whose trigger is not confirmed: id to shard."""
        return {group: walk.shard for walk in self.walks.values() for group in walk.unconfirmed}

    @property
    def unverified(self) -> list[int]:
        """Return the shards of which nobody can say that nothing rests."""
        return [shard for shard, walk in sorted(self.walks.items()) if not walk.is_verified]

    @property
    def is_verified(self) -> bool:
        """Return whether every shard's listing came back empty."""
        return not self.unverified

    @property
    def is_over(self) -> bool:
        """Return whether nothing is left to do."""
        return all(walk.is_over for walk in self.walks.values())

    @property
    def rungs_us(self) -> dict[str, int]:
        """Return the time of each rung that every shard which needs it has reached, microseconds."""
        found = {"gate": self.gate_us}
        if self._cancel_all_us is not None:
            found["cancel_all"] = self._cancel_all_us
        for name in ("groups", "cancels", "empty", "verified"):
            needing = [walk for walk in self.walks.values() if _needs(walk, name)]
            times = [walk.rungs_us[name] for walk in needing if name in walk.rungs_us]
            if times and len(times) == len(needing):
                found[name] = max(times)
        return {name: found[name] for name in RUNGS if name in found}


def _needs(walk: ShardLadder, name: str) -> bool:
    if name == "groups":
        return bool(walk.groups)
    return name != "cancels" or name in walk.rungs_us

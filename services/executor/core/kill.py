"""The kill ladder, with a time for every rung; it ends with an empty listing or goes on.

(a) the gate is closed before anything else, (b) every order group is triggered,
(c) cancel-all, (d) whatever a listing still shows is cancelled one by one; then the
listing must come back empty: only that is `VERIFIED`. Rungs (b) and (c) go out
together. A group whose trigger has no answer is triggered again until it has; until
then the halt is not verified, because a create in flight could still arrive. Nothing
here ever resets a group: after a halt there is a new epoch with new groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.executor.core.requests import CancelRequest


@dataclass(frozen=True, slots=True)
class KillStep:
    """What to do next; all of it at once.

    Attributes:
        trigger: Groups to trigger: id and shard.
        cancel_all: Whether to send cancel-all.
        cancel: Orders to cancel by id.
        list_orders: Whether to read the listing again.
        is_verified: Nothing rests: the ladder is done.
    """

    trigger: tuple[tuple[str, int], ...] = ()
    cancel_all: bool = False
    cancel: tuple[CancelRequest, ...] = ()
    list_orders: bool = False
    is_verified: bool = False


@dataclass(slots=True)
class KillLadder:
    """One walk down the ladder.

    Args:
        reason: Who halted, for the report.
        groups: Every group of the present epoch: id to shard.
        with_cancel_all: False for an orderly stop, which leaves foreign orders alone and
            must not shadow a quick restart for a minute (kalshi-api 12.3).
        clean_reads: Empty listings in a row that verify.
    """

    reason: str
    groups: dict[str, int]
    started_ns: int
    with_cancel_all: bool = True
    clean_reads: int = 2
    rungs_us: dict[str, int] = field(default_factory=dict)
    is_verified: bool = False
    _confirmed: set[str] = field(default_factory=set)
    _is_cancelled_all: bool = False
    _empty: int = 0

    @property
    def unconfirmed(self) -> dict[str, int]:
        """Return the groups whose trigger is not confirmed: id to shard."""
        return {g: shard for g, shard in self.groups.items() if g not in self._confirmed}

    def first(self, now_ns: int) -> KillStep:
        """Return rungs (b) and (c); the gate was closed by the caller before this ladder existed."""
        self._rung("gate", now_ns)
        return KillStep(trigger=tuple(self.groups.items()), cancel_all=self.with_cancel_all, list_orders=True)

    def on_triggered(self, order_group_id: str, now_ns: int) -> None:
        """A trigger was confirmed, or the venue said that the group is gone."""
        self._confirmed.add(order_group_id)
        if self._confirmed >= set(self.groups):
            self._rung("groups", now_ns)

    def on_cancelled_all(self, now_ns: int) -> None:
        """Cancel-all was confirmed."""
        self._is_cancelled_all = True
        self._rung("cancel_all", now_ns)

    def on_listing(self, resting: Iterable[CancelRequest], now_ns: int) -> KillStep:
        """Take a listing that began after the first step; return what is left to do."""
        cancel = tuple(resting)
        trigger = tuple(self.unconfirmed.items())
        if cancel:
            self._empty = 0
            return KillStep(trigger=trigger, cancel=cancel, list_orders=True)
        self._rung("empty", now_ns)
        # A create still in flight, whose group is not confirmed as triggered, may come to rest after this
        # listing; one whose group is confirmed cannot, so its answer need not be awaited.
        self._empty += 1
        if not trigger and self._empty >= self.clean_reads:
            self.is_verified = True
            self._rung("verified", now_ns)
            return KillStep(is_verified=True)
        return self.on_no_listing()

    def on_no_listing(self) -> KillStep:
        """Return what is left to do although nobody can say what rests."""
        return KillStep(
            trigger=tuple(self.unconfirmed.items()),
            cancel_all=self.with_cancel_all and not self._is_cancelled_all,
            list_orders=True,
        )

    def _rung(self, name: str, now_ns: int) -> None:
        self.rungs_us.setdefault(name, (now_ns - self.started_ns) // 1_000)

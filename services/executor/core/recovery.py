"""Start and recovery are one path: a list of steps that cannot be left out or swapped.

    latches -> lead -> trigger old groups -> cancel leftovers -> list until clean
    -> rebuild -> resolve intents -> done

Each step is asked for, performed by the shell, and reported back; a step that
failed is asked for again. Pure, so that a test can crash between any two of them.
Order groups of the new epoch are made when a shard is first used: created, journalled
under the fence, and only then named in an order (`engine.py`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from libs.common.domain.ids import parse_client_order_id
from libs.common.kalshi.model import VenueOrder
from libs.common.messages.execution import OrderGroupV1
from services.executor.core.requests import CancelRequest


class RecoveryStep(enum.StrEnum):
    """What the shell must do next."""

    READ_LATCHES = "read_latches"
    LEAD = "lead"
    TRIGGER_OLD_GROUPS = "trigger_old_groups"
    CANCEL_LEFTOVERS = "cancel_leftovers"
    LIST_UNTIL_CLEAN = "list_until_clean"
    REBUILD = "rebuild"
    RESOLVE_INTENTS = "resolve_intents"
    DONE = "done"


_PATH = tuple(RecoveryStep)


@dataclass(slots=True)
class Recovery:
    """Where start-up stands.

    Attributes:
        env: Which orders are ours to cancel.
        clean_reads: Consecutive listings without an order of ours that count as clean;
            reads lag writes by up to half a second (kalshi-api 14.3).
    """

    env: str
    clean_reads: int = 3
    step: RecoveryStep = RecoveryStep.READ_LATCHES
    foreign: set[str] = field(default_factory=set)
    leftovers: int = 0
    _clean: int = 0
    _to_trigger: dict[str, int] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Return whether the account is rebuilt."""
        return self.step is RecoveryStep.DONE

    def done(self, step: RecoveryStep) -> None:
        """Report a step as performed."""
        assert step is self.step, f"step {self.step}, was {step}"
        self.step = _PATH[_PATH.index(step) + 1]

    def old_groups(
        self, groups: Iterable[OrderGroupV1], live: Iterable[tuple[str, int]], *, is_all: bool = False
    ) -> None:
        """Learn the groups to trigger: the newest epoch's, and older ones that the venue still lists.

        A group that the venue no longer lists can hold no order; but listings lag, so
        one that was made just now may only not be listed yet. With ``is_all``, every listed one:
        a record that cannot be read names a group that nobody can tell from the others, and
        this epoch has made none yet.
        """
        known = {group.order_group_id: group for group in groups}
        newest = max((group.epoch for group in known.values()), default=0)
        listed = dict(live)
        for order_group_id, group in known.items():
            if group.epoch == newest or order_group_id in listed:
                self._to_trigger[order_group_id] = group.shard
        if is_all:
            self._to_trigger.update(listed)

    def to_trigger(self) -> list[tuple[str, int]]:
        """Return the groups whose trigger is not confirmed."""
        return list(self._to_trigger.items())

    def on_triggered(self, order_group_id: str) -> None:
        """A trigger was confirmed."""
        self._to_trigger.pop(order_group_id, None)

    def ours(self, resting: Iterable[VenueOrder]) -> list[CancelRequest]:
        """Return the resting orders that carry our prefix and environment; others are foreign."""
        cancels = []
        for order in resting:
            identity = parse_client_order_id(order.client_order_id)
            if identity is None or identity.env != self.env:
                self.foreign.add(order.order_id)
                continue
            cancels.append(CancelRequest(order.order_id, order.client_order_id, order.market, order.shard))
        return cancels

    def on_listing(self, resting: Iterable[VenueOrder]) -> list[CancelRequest]:
        """Take a listing of the last step before rebuilding; return what must still be cancelled."""
        assert self.step is RecoveryStep.LIST_UNTIL_CLEAN, self.step
        cancels = self.ours(resting)
        self._clean = 0 if cancels else self._clean + 1
        self.leftovers += len(cancels)
        if self._clean >= self.clean_reads:
            self.done(RecoveryStep.LIST_UNTIL_CLEAN)
        return cancels

    def again(self) -> None:
        """Start over for a new epoch of the same process; latches and leadership are already there."""
        self.step, self._clean = RecoveryStep.TRIGGER_OLD_GROUPS, 0
        self._to_trigger.clear()

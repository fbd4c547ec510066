"""The lane for a silent executor: trigger its order groups, then cancel all, until nothing of ours rests.

Rung one is quick and exact: a triggered group loses its orders and refuses those that are still
on their way; what rests in no group is cancelled by name beside it. What the venue does not
confirm is asked again after a tenth of a second, in turns with rung two: cancel-all, which also
goes on cancelling for up to a minute, and so is kept for what rung one left, or where it is not
answered, or where no group is known. A silence halts nothing for good: a crash is not a loss.

The executor's heartbeat comes over the bus, so a dead bus is a silent executor: it could not be
told to stop either, and an executor that lives on finds its groups dead and begins a new epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from libs.common.kalshi.model import VenueOrder
from libs.common.messages.execution import EpochV1, OrderGroupV1

_MS: Final = 1_000_000
_RETRY_NS: Final = 100 * _MS
"""First pause after an act that was not confirmed; doubled with each one, up to the lane's ``repeat_ns``."""
_ANSWER_NS: Final = 500 * _MS
"""So long an answer is waited for before the next act; the canceller itself waits longer."""

Group = tuple[str, int]
"""Order group id and shard."""
OrderRef = tuple[str, str, int]
"""Order id, market and shard."""


@dataclass(frozen=True, slots=True)
class TriggerGroups:
    """Trigger these groups."""

    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class CancelOrders:
    """Cancel these orders by name."""

    orders: tuple[OrderRef, ...]


@dataclass(frozen=True, slots=True)
class CancelAll:
    """Cancel everything that rests."""

    reason: str


Act = TriggerGroups | CancelOrders | CancelAll


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one act.

    Attributes:
        act: Which.
        is_confirmed: Whether the venue confirmed all of it.
        left: Groups of it that it did not confirm.
    """

    act: Act
    is_confirmed: bool
    left: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True)
class Resting:
    """What may rest.

    Attributes:
        seen: How many orders of ours the venue shows us.
        claimed: How many more the executor said it had, or may have.
        groups: The groups of those that are seen.
        loose: Those that are seen and in no group.
        is_blind: Whether the venue has not been read, and told us nothing, since the executor was last heard.
    """

    seen: int = 0
    claimed: int = 0
    groups: tuple[Group, ...] = ()
    loose: tuple[OrderRef, ...] = ()
    is_blind: bool = False


def resting_of(orders: Iterable[VenueOrder], claimed: int, *, is_blind: bool) -> Resting:
    """Return what may rest, from the orders of ours that the venue shows."""
    seen = list(orders)
    return Resting(
        seen=len(seen),
        claimed=claimed,
        groups=tuple({(order.order_group_id, order.shard): None for order in seen if order.order_group_id}),
        loose=tuple(
            (order.order_id, order.market, order.shard) for order in seen if not order.order_group_id
        ),
        is_blind=is_blind,
    )


@dataclass(slots=True)
class Leader:
    """Who leads, and when its heartbeat was last heard."""

    heard_ns: int
    epoch: EpochV1 | None = None
    epoch_sequence: int = 0
    _groups: dict[str, OrderGroupV1] = field(default_factory=dict)

    def on_epoch(self, epoch: EpochV1, sequence: int, now_ns: int) -> None:
        """Take an epoch."""
        if sequence > self.epoch_sequence:
            self.epoch, self.epoch_sequence, self.heard_ns = epoch, sequence, now_ns

    def on_group(self, group: OrderGroupV1) -> None:
        """Take an order group that an epoch journalled."""
        self._groups[group.order_group_id] = group

    def on_beat(self, instance: str, now_ns: int) -> None:
        """Take an executor's heartbeat; a standby's says nothing about the leader."""
        if self.epoch is None or instance == self.epoch.holder:
            self.heard_ns = now_ns

    def groups(self) -> tuple[tuple[str, int], ...]:
        """Return the groups of the newest epoch that has any."""
        newest = max((group.epoch for group in self._groups.values()), default=0)
        return tuple(
            (group.order_group_id, group.shard) for group in self._groups.values() if group.epoch == newest
        )


@dataclass(slots=True)
class EmergencyLane:
    """Decides when to act.

    Attributes:
        silence_ns: Without the leader's heartbeat for longer than this it acts.
        repeat_ns: Between a confirmed act and cancel-all for what is still seen; longer than the read lag.
        acted_ns: When it last acted on the present silence, None when there is none.
        tries: Acts of the present silence.
        runs: Silences that it acted on.
    """

    silence_ns: int
    repeat_ns: int
    acted_ns: int | None = None
    tries: int = 0
    runs: int = 0
    _open: tuple[Act, ...] = ()
    _has_failed: bool = False
    _left: tuple[Group, ...] = ()

    def step(
        self, silent_ns: int, resting: Resting, groups: tuple[Group, ...], now_ns: int
    ) -> tuple[Act, ...]:
        """Return what to do now; each act is answered by :meth:`on_done`.

        Args:
            silent_ns: How long the leader has been silent.
            resting: What may rest. A triggered group refuses what is on its way, so claims do not keep the
                lane going.
            groups: Order groups of the newest epoch.
            now_ns: Monotonic.
        """
        if silent_ns <= self.silence_ns:
            self.acted_ns, self.tries, self._open, self._has_failed, self._left = None, 0, (), False, ()
            return ()
        acts = self._next(silent_ns, resting, groups, now_ns)
        if acts:
            self.runs += self.acted_ns is None
            self.acted_ns, self.tries, self._open, self._has_failed = now_ns, self.tries + 1, acts, False
        return acts

    def on_done(self, done: Done) -> None:
        """Take what became of an act; one that counts as lost, or whose silence is over, says nothing."""
        if done.act not in self._open:
            return
        self._open = tuple(act for act in self._open if act != done.act)
        self._has_failed = self._has_failed or not done.is_confirmed
        if isinstance(done.act, TriggerGroups):
            self._left = done.left

    @property
    def is_at_work(self) -> bool:
        """Return whether something that it asked for is not confirmed yet."""
        return self.acted_ns is not None and bool(self._open or self._has_failed or self._left)

    def _next(
        self, silent_ns: int, resting: Resting, groups: tuple[Group, ...], now_ns: int
    ) -> tuple[Act, ...]:
        text = (
            f"the executor is silent for {silent_ns // _MS} ms, "
            f"{resting.seen} orders rest, {resting.claimed} may rest"
        )
        if self.acted_ns is None:
            return self._first(resting, groups, text)
        passed_ns = now_ns - self.acted_ns
        if self._open and passed_ns < _ANSWER_NS:
            return ()
        if self._open or self._has_failed or self._left:
            pause_ns = min(_RETRY_NS << (self.tries - 1), self.repeat_ns)
            if passed_ns < pause_ns:
                return ()
            # In turns: a shard that refuses triggers, or leaves them hanging, may well be emptied by the
            # other request.
            is_triggers_turn = self._left and self.tries % 2 and not self._open
            return (TriggerGroups(self._left),) if is_triggers_turn else (CancelAll(text),)
        if resting.seen and passed_ns >= self.repeat_ns:
            return (CancelAll(text),)
        return ()

    def _first(self, resting: Resting, groups: tuple[Group, ...], text: str) -> tuple[Act, ...]:
        if not (resting.seen or resting.claimed or (resting.is_blind and groups)):
            return ()
        self._left = tuple(dict.fromkeys((*groups, *resting.groups)))
        acts: list[Act] = []
        if self._left:
            acts.append(TriggerGroups(self._left))
        if resting.loose:
            acts.append(CancelOrders(resting.loose))
        return tuple(acts) or (CancelAll(text),)

"""The lane for a silent executor: trigger its order groups, then cancel all, until nothing of ours rests.

Rung one is quick and exact: a triggered group loses its orders and refuses those
that are still on their way. Rung two, cancel-all, also goes on cancelling for up
to a minute, so it is kept for what rung one left, or where no group is known. A
silence halts nothing for good: a crash is not a loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.messages.execution import EpochV1, OrderGroupV1


@dataclass(frozen=True, slots=True)
class TriggerGroups:
    """Trigger these groups: order group id and shard."""

    groups: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class CancelAll:
    """Cancel everything that rests."""

    reason: str


@dataclass(slots=True)
class Leader:
    """Who leads, and when its heartbeat was last heard."""

    heard_ns: int
    epoch: EpochV1 | None = None
    epoch_sequence: int = 0
    _hears_holder: bool = False
    _groups: dict[str, OrderGroupV1] = field(default_factory=dict)

    def on_epoch(self, epoch: EpochV1, sequence: int, now_ns: int) -> None:
        """Take an epoch."""
        if sequence > self.epoch_sequence:
            self.epoch, self.epoch_sequence, self._hears_holder = epoch, sequence, False
            self.heard_ns = now_ns

    def on_group(self, group: OrderGroupV1) -> None:
        """Take an order group that an epoch journalled."""
        self._groups[group.order_group_id] = group

    def on_beat(self, instance: str, now_ns: int) -> None:
        """Take an executor's heartbeat; a standby's says nothing about the leader once that was heard."""
        holder = None if self.epoch is None else self.epoch.holder
        if instance == holder:
            self._hears_holder = True
        elif self._hears_holder:
            return
        self.heard_ns = now_ns

    def groups(self) -> tuple[tuple[str, int], ...]:
        """Return the groups of the newest epoch that has any."""
        newest = max((group.epoch for group in self._groups.values()), default=0)
        return tuple(
            (group.order_group_id, group.shard) for group in self._groups.values() if group.epoch == newest
        )


@dataclass(slots=True)
class EmergencyLane:
    """Decides when to act; ``repeat_ns`` lies between rungs and is longer than the read lag."""

    silence_ns: int
    repeat_ns: int
    acted_ns: int | None = None
    """When it last acted on the present silence, None when there is none."""
    rungs: int = 0
    runs: int = 0
    _has_failed: bool = False

    def step(
        self,
        silent_ns: int,
        seen: int,
        claimed: int,
        groups: tuple[tuple[str, int], ...],
        now_ns: int,
    ) -> TriggerGroups | CancelAll | None:
        """Return what to do now.

        Args:
            silent_ns: How long the leader has been silent.
            seen: How many orders of ours the venue shows us.
            claimed: How many more the executor said it had, or may have. A triggered group refuses what is on
                its way, so they do not keep the lane going.
            groups: Order groups of the newest epoch.
            now_ns: Monotonic.
        """
        if silent_ns <= self.silence_ns:
            self.acted_ns, self.rungs, self._has_failed = None, 0, False
            return None
        is_needed = seen > 0 or self._has_failed or (self.rungs == 0 and claimed > 0)
        if not is_needed or (self.acted_ns is not None and now_ns - self.acted_ns < self.repeat_ns):
            return None
        self.runs += self.rungs == 0
        self.acted_ns, self.rungs, self._has_failed = now_ns, self.rungs + 1, False
        if self.rungs == 1 and groups:
            return TriggerGroups(groups)
        return CancelAll(
            f"the executor is silent for {silent_ns // 1_000_000} ms, {seen} orders rest, {claimed} may rest"
        )

    def on_failed(self) -> None:
        """Take the news that the venue did not confirm the last rung: the next one comes whatever rests."""
        self._has_failed = True

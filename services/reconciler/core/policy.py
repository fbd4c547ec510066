"""What to do about a difference: one row for each kind, so that nobody has to guess at night.

Nothing here repairs our books in silence. An order without our prefix is never
touched. Until a new leader has agreed for the first time, or has had its time to
recover, a difference closes the permit and does not halt.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.reconciler.core.diff import SILENT_TEXT, Difference, Kind
from services.reconciler.core.settle import Ripe
from services.reconciler.core.witness import Name


class Action(enum.StrEnum):
    """The words of `DriftV1.action`."""

    ALERT = "alert"
    CANCEL = "cancel"
    HALT = "halt"


@dataclass(frozen=True, slots=True)
class Row:
    """First action, the action once it has outlived `escalate_cycles`, and whether the permit closes."""

    first: Action
    later: Action
    closes_permit: bool = True


TABLE: Final[Mapping[Kind, Row]] = MappingProxyType(
    {
        Kind.FOREIGN_ORDER: Row(Action.ALERT, Action.ALERT, closes_permit=False),
        Kind.ORDERS_ONLY_EXCHANGE: Row(Action.CANCEL, Action.HALT),
        Kind.ORDERS_ONLY_LOCAL: Row(Action.ALERT, Action.HALT),
        Kind.ORDER: Row(Action.ALERT, Action.HALT),
        Kind.FILL: Row(Action.HALT, Action.HALT),
        Kind.POSITION: Row(Action.HALT, Action.HALT),
        Kind.CASH: Row(Action.HALT, Action.HALT),
    }
)


def action_for(ripe: Ripe, *, escalate_cycles: int, may_halt: bool) -> Action:
    """Return what to do about a difference that counts.

    Args:
        ripe: The difference and how long it has been seen.
        escalate_cycles: Comparisons after which the later action holds.
        may_halt: False while a new leader is still putting its books in order.
    """
    difference = ripe.difference
    row = TABLE[difference.kind]
    action = row.later if ripe.cycles >= escalate_cycles else row.first
    if difference.odd_one_out == Name.DROP_COPY:
        return Action.ALERT
    if difference.kind is Kind.FILL and difference.odd_one_out == Name.LISTING:
        # The venue's own listing is behind its own feed; a real loss shows in positions or cash.
        return Action.ALERT
    return action if may_halt else Action.ALERT


def closes_permit(difference: Difference) -> bool:
    """Return whether trading must wait for this difference to go away."""
    return TABLE[difference.kind].closes_permit and difference.odd_one_out != Name.DROP_COPY


def needs_executor(difference: Difference) -> bool:
    """Return whether the executor's own word is part of the difference."""
    return difference.executor_says != SILENT_TEXT and difference.kind is not Kind.FOREIGN_ORDER

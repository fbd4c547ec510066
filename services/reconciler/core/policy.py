"""What to do about a difference: one row for each kind, so that nobody has to guess at night.

Nothing here repairs our books in silence. An order without our prefix is never
touched, and nothing here can send an order: this service's key reads. What the
words of `Action` do:

* ``alert``: log, audit, result. Every other word does that too.
* ``cancel``: ask the executor, whose order it should be, to cancel it.
* ``adopt``: the same request for an order of an earlier epoch of ours. The
  executor takes it into its books when its own listing shows it, and the cancel
  ends it there with its fills counted.
* ``close``: a position at the venue that the executor knows nothing of. It can
  only be closed by an order, and so by a person: the account halts and the
  position is listed by ``dora orphans`` until it is resolved.
* ``halt``: one halt a comparison, naming everything that halts.

The alert and the closed permit come at once, a halt once the difference has lasted
longer than an overloaded executor's records, or the venue's listings, are ever
behind; so does whatever rests on the listing's word alone. Until a new leader has
agreed for the first time, or has had its time to recover, a difference closes the
permit and does not halt.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from libs.common.domain.ids import parse_client_order_id
from services.reconciler.core.diff import SILENT_TEXT, Difference, Kind
from services.reconciler.core.settle import Ripe
from services.reconciler.core.witness import Name


class Action(enum.StrEnum):
    """The words of `DriftV1.action`."""

    ALERT = "alert"
    ADOPT = "adopt"
    CANCEL = "cancel"
    CLOSE = "close"
    HALT = "halt"


HALTS: Final = frozenset({Action.HALT, Action.CLOSE})
ASKS_EXECUTOR: Final = frozenset({Action.CANCEL, Action.ADOPT})
_FLAT: Final = frozenset({"0", SILENT_TEXT})


@dataclass(frozen=True, slots=True)
class Row:
    """What happens to one kind.

    Attributes:
        first: When it counts.
        later: Once it has outlived `escalate_cycles`.
        closes_permit: Whether trading waits until it is gone.
        inherited: Instead of ``first``, for an order of an earlier epoch.
        unclaimed: Instead of either, for a position of which the executor says nothing.
    """

    first: Action
    later: Action
    closes_permit: bool = True
    inherited: Action | None = None
    unclaimed: Action | None = None


TABLE: Final[Mapping[Kind, Row]] = MappingProxyType(
    {
        Kind.FOREIGN_ORDER: Row(Action.ALERT, Action.ALERT, closes_permit=False),
        Kind.ORDERS_ONLY_EXCHANGE: Row(Action.CANCEL, Action.HALT, inherited=Action.ADOPT),
        Kind.ORDERS_ONLY_LOCAL: Row(Action.ALERT, Action.HALT),
        Kind.ORDER: Row(Action.ALERT, Action.HALT),
        Kind.FILL: Row(Action.HALT, Action.HALT),
        Kind.POSITION: Row(Action.HALT, Action.HALT, unclaimed=Action.CLOSE),
        Kind.CASH: Row(Action.HALT, Action.HALT),
    }
)


def action_for(
    ripe: Ripe, *, escalate_cycles: int, may_halt: bool, epoch: int = 0, has_lasted: bool = True
) -> Action:
    """Return what to do about a difference that counts.

    Args:
        ripe: The difference and how long it has been seen.
        escalate_cycles: Comparisons after which the later action holds.
        may_halt: False while a new leader is still putting its books in order.
        epoch: The present leader's.
        has_lasted: Whether it has lasted longer than records and listings may be behind.
    """
    difference = ripe.difference
    row = TABLE[difference.kind]
    if difference.odd_one_out == Name.DROP_COPY:
        return Action.ALERT
    if difference.kind is Kind.FILL and difference.odd_one_out == Name.LISTING:
        # The venue's own listing is behind its own feed; a real loss shows in positions or cash.
        return Action.ALERT
    if difference.odd_one_out == Name.LISTING and not has_lasted:
        # The venue's reads contradict its own feed: late, most of the time. Nothing is sent meanwhile.
        return Action.ALERT
    action = row.later if ripe.cycles >= escalate_cycles else row.first
    if action is row.first and row.inherited is not None and _is_inherited(difference, epoch):
        action = row.inherited
    if row.unclaimed is not None and is_unclaimed(difference):
        action = row.unclaimed
    if action in HALTS and not has_lasted:
        return Action.ALERT
    return action if may_halt else Action.ALERT


def closes_permit(difference: Difference) -> bool:
    """Return whether trading must wait for this difference to go away."""
    return TABLE[difference.kind].closes_permit and difference.odd_one_out != Name.DROP_COPY


def needs_executor(difference: Difference) -> bool:
    """Return whether the executor's own word is part of the difference."""
    return difference.executor_says != SILENT_TEXT and difference.kind is not Kind.FOREIGN_ORDER


def is_unclaimed(difference: Difference) -> bool:
    """Return whether the venue holds a position of which the executor says nothing."""
    return (
        difference.kind is Kind.POSITION
        and difference.odd_one_out == Name.EXECUTOR
        and difference.executor_says in _FLAT
    )


def _is_inherited(difference: Difference, epoch: int) -> bool:
    identity = parse_client_order_id(difference.key)
    return identity is not None and identity.epoch < epoch

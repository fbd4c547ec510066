"""Where our order stands in a queue that somebody else recorded.

A recording shows how large a level was, never whose quantity left it. A trade
takes from the front, that much is certain. A cancel may have stood before us
or behind us, and the three named models are the three answers:

* ``pessimistic``: cancels stood behind us, as long as anything did;
* ``proportional``: they stood anywhere with equal chance;
* ``optimistic``: they stood before us.

For one order over one recording the quantity before us is never smaller under
an earlier model of this list than under a later one.
"""

from __future__ import annotations

import enum
from typing import assert_never


class QueueModel(enum.StrEnum):
    """Whose quantity a recorded cancel was."""

    PESSIMISTIC = "pessimistic"
    PROPORTIONAL = "proportional"
    OPTIMISTIC = "optimistic"


def ahead_after_cancel(model: QueueModel, ahead_e2: int, level_e2: int, cancelled_e2: int) -> int:
    """Return the quantity before an order after a cancel in its level.

    Args:
        model: The answer to take.
        ahead_e2: Recorded quantity before the order, at most ``level_e2``.
        level_e2: Recorded quantity of the level before the cancel.
        cancelled_e2: What left, at most ``level_e2``.
    """
    left_e2 = level_e2 - cancelled_e2
    match model:
        case QueueModel.PESSIMISTIC:
            return min(ahead_e2, left_e2)
        case QueueModel.PROPORTIONAL:
            if level_e2 == 0:
                return 0
            return ahead_e2 - ahead_e2 * cancelled_e2 // level_e2
        case QueueModel.OPTIMISTIC:
            return max(0, ahead_e2 - cancelled_e2)
        case _:
            assert_never(model)

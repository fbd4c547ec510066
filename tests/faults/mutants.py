"""The executor with one part of its protocol taken out: uncaught, the exploration would prove nothing.

The four are those of reliability 3.3, where a model without the part reaches "an order
of epoch 1 accepted after epoch 2 finished fencing".
"""

from __future__ import annotations

import enum
from typing import Any

from services.executor.shell.service import ExecutorApp
from tests.faults.bus import ProcessBus

_FENCED = (".exec.intent.", ".exec.group.")


class Mutant(enum.StrEnum):
    """What is taken out or put in."""

    NONE = "none"
    NO_FENCE = "no-fence"
    """Intents and groups are appended whoever leads."""
    NO_TRIGGER = "no-trigger"
    """Groups of older epochs are taken for triggered."""
    GROUP_UNJOURNALLED = "group-unjournalled"
    """A group is used without its id being in the journal."""
    RESET = "reset"
    """A triggered group is reset, so that it takes orders again."""


def mutate(mutant: Mutant, app: ExecutorApp, bus: ProcessBus) -> None:
    """Break a freshly wired executor."""
    sender: Any = app._sender
    if mutant is Mutant.NO_FENCE:
        bus.fence_of = lambda subject, fence: None if any(part in subject for part in _FENCED) else fence
    elif mutant is Mutant.NO_TRIGGER:

        async def believe(order_group_id: str, shard: int) -> bool:
            return True

        sender.trigger_group = believe
    elif mutant is Mutant.GROUP_UNJOURNALLED:
        bus.is_swallowed = lambda subject: ".exec.group." in subject
    elif mutant is Mutant.RESET:
        trigger, line = sender.trigger_group, app._leadership._canceller._line

        async def trigger_and_reset(order_group_id: str, shard: int) -> bool:
            is_triggered: bool = await trigger(order_group_id, shard)
            path = line.path("portfolio", "order_groups", order_group_id, "reset")
            await line.call("PUT", path, query=(("exchange_index", shard),))
            return is_triggered

        sender.trigger_group = trigger_and_reset

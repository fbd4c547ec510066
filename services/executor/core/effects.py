"""What the core wants done; frozen data that the shell performs in order."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.common.messages.control import GateState
from libs.common.messages.execution import AuditExecV1, FillV1, IntentV1, OrderV1, PositionV1
from libs.common.messages.orders import ConfirmationV1
from services.executor.core.kill_scope import WHOLE, KillScope
from services.executor.core.requests import CancelRequest, DecreaseRequest
from services.executor.core.seal import Approved


class Lane(enum.StrEnum):
    """Whose tokens pay for creates: the unscoped bucket for a batch, its shard's own for a single."""

    BATCH = "batch"
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class SendBatch:
    """Store the intent, then send everything in it.

    Attributes:
        intent: Stored and acknowledged under the epoch's fence before any byte leaves.
        creates: Go out as one request in the batch lane, as one each in the single lane.
        amends: One request each.
        decreases: One request each.
        origins_ns: For each order that came of a fresh target: its client order id, arrival of the
            book change behind it, where tick-to-order starts, and of the target here.
        markets: Whose books must still be fresh when the bytes leave.
        cancels: One request that leaves at once, beside the journal's append; asks no gate, and leaves
            whatever becomes of the rest.
        after: A create's client order id to the venue's id of the order among ``cancels`` whose cancel
            must have been accepted before it may leave; else it is not sent, `CANCEL_NOT_CONFIRMED`.
            Caps and self-cross are then asked again with the newest view, right before the bytes.
        lane: How the creates travel.
    """

    intent: IntentV1
    creates: tuple[Approved, ...]
    amends: tuple[Approved, ...]
    decreases: tuple[DecreaseRequest, ...]
    origins_ns: tuple[tuple[str, int, int], ...]
    markets: tuple[str, ...]
    cancels: tuple[CancelRequest, ...] = ()
    after: Mapping[str, str] = field(default_factory=dict)
    lane: Lane = Lane.BATCH


@dataclass(frozen=True, slots=True)
class SendCancels:
    """Cancel these with one request; nothing is asked and nothing awaited before.

    Attributes:
        is_paid: Whether the pass that decided it took the tokens; what did not ask is charged when it goes.
    """

    cancels: tuple[CancelRequest, ...]
    is_paid: bool = False


@dataclass(frozen=True, slots=True)
class MakeGroup:
    """Create an order group on a shard, journal it, then report it."""

    shard: int


@dataclass(frozen=True, slots=True)
class RecordOrder:
    """Append an order's newest state to EXEC, in order, later."""

    order: OrderV1


@dataclass(frozen=True, slots=True)
class RecordFill:
    """Append a fill to EXEC, in order, later."""

    fill: FillV1


@dataclass(frozen=True, slots=True)
class RecordAudit:
    """Append an execution event to AUDIT, later."""

    audit: AuditExecV1


@dataclass(frozen=True, slots=True)
class PublishPosition:
    """Publish a market's position now."""

    position: PositionV1


@dataclass(frozen=True, slots=True)
class StartKill:
    """Walk the kill ladder for what the scope reaches."""

    reason: str
    scope: KillScope = WHOLE


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Claim the next epoch in this process: the present one's groups are dead.

    ``is_fuse``: the venue's limit blew, so the next epoch's groups have to rest first.
    """

    reason: str
    is_fuse: bool = False


@dataclass(frozen=True, slots=True)
class ReadFills:
    """Read the fills again: some are told of but not counted."""

    order_id: str = ""


@dataclass(frozen=True, slots=True)
class ReadOrder:
    """Read one order that somebody waits for: no news has ended it yet."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Tell who waits what became of the order."""

    confirmation: ConfirmationV1


@dataclass(frozen=True, slots=True)
class ReadSettlements:
    """Read the settlements: a market was determined."""

    market: str


@dataclass(frozen=True, slots=True)
class WriteLatch:
    """Write the local latch file."""

    is_halted: bool
    halt_sequence: int
    reason: str
    level: GateState = GateState.HALTED
    stamp: str = ""
    """When the stream stored that halt; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class Log:
    """Write a log line."""

    event_type: str
    message: str = ""
    level: str = "INFO"
    fields: dict[str, Any] = field(default_factory=dict)


Effect = (
    SendBatch
    | SendCancels
    | MakeGroup
    | RecordOrder
    | RecordFill
    | RecordAudit
    | PublishPosition
    | StartKill
    | TakeOver
    | ReadFills
    | ReadOrder
    | Confirmed
    | ReadSettlements
    | WriteLatch
    | Log
)

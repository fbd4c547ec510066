"""What the reconciler's core asks its shell to do; frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.messages.control import HaltV1
from libs.common.messages.risk import OrphanedOrderV1, ReconResultV1


@dataclass(frozen=True, slots=True)
class Read:
    """Read the venue and bring the listing back; fills from this venue time on, None for all."""

    reason: str
    fills_from_ms: int | None
    balance_wait_ms: int
    """How long to be patient with the balance, whose bucket is shared; without it the rest still counts."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Append a result: ``recon.clear`` if ``is_clear``, else ``recon.drift``."""

    result: ReconResultV1
    is_clear: bool


@dataclass(frozen=True, slots=True)
class Halt:
    """Append a halt; the message id makes a retry the same halt."""

    halt: HaltV1
    msg_id: str


@dataclass(frozen=True, slots=True)
class AskCancel:
    """Ask the executor to cancel orders that it does not know."""

    order_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """Append a row of the register of orphans to ``audit.recon``."""

    row: OrphanedOrderV1


@dataclass(frozen=True, slots=True)
class Log:
    """Write one line."""

    event_type: str
    message: str
    level: str
    fields: Mapping[str, object] = field(default_factory=dict)


Effect = Read | Publish | Halt | AskCancel | Record | Log

"""What the riskguard's core asks its shell to do; frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.messages.control import HaltV1
from libs.common.messages.risk import AuditRiskV1, RiskStateV1
from services.riskguard.core.emergency import Act
from services.riskguard.core.latches import WriteLatch


@dataclass(frozen=True, slots=True)
class Halt:
    """Store a halt of ours; the message id makes a retry the same halt.

    ``stands_for`` names the source of a halt that was heard and never stored.
    """

    halt: HaltV1
    msg_id: str
    stands_for: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """Read the venue; fills from this venue time on, None for all."""

    fills_from_ms: int | None


@dataclass(frozen=True, slots=True)
class Audit:
    """Store what changed."""

    record: AuditRiskV1


@dataclass(frozen=True, slots=True)
class ReadBalance:
    """Read the balance, and what was moved by transfers, deposits and withdrawals."""


@dataclass(frozen=True, slots=True)
class ReadFees:
    """Ask the venue what these events cost now: an announced change of their fees is due."""

    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remember:
    """Store what a restart must not forget; a newer one replaces it."""

    state: RiskStateV1


@dataclass(frozen=True, slots=True)
class Log:
    """Write one line."""

    event_type: str
    message: str
    level: str = "WARNING"
    fields: Mapping[str, object] = field(default_factory=dict)


Effect = Halt | Read | ReadBalance | ReadFees | Remember | Audit | Log | WriteLatch | Act

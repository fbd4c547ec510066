"""What people ask of the executor, and its answers: single orders, their confirmation, a flattening.

These travel by question and answer only. A question refuses fields it does not know: a
misspelt limit that is silently left out would be an order without that limit.
"""

from __future__ import annotations

import enum

from libs.common.domain.side import Side
from libs.common.messages.base import Wire
from libs.common.messages.execution import OrderV1, Purpose


class ConfirmStatus(enum.StrEnum):
    """What became of an order that somebody waited for (D-004)."""

    FILLED = "filled"
    PARTIAL = "partial"
    """It ended with less than was asked for."""
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    """The wait was over: it was cancelled, verified, and what was filled by then is counted."""
    ERROR = "error"
    """It never rested and nothing of it was filled; the message says why."""
    UNKNOWN = "unknown"
    """Nobody can say yet; it counts as open at its worst until evidence settles it."""

    @classmethod
    def _missing_(cls, value: object) -> ConfirmStatus | None:
        # The American spelling is the venue's own (D-005).
        if isinstance(value, str) and value.lower() in ("canceled", "cancelled"):
            return cls.CANCELLED
        return None


class PlaceAskV1(Wire, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``svc.executor.place``: one order, answered by its confirmation.

    The same request id never makes a second order, whatever became of the first.
    """

    request_id: str
    """1 to 48 letters, digits, dashes and underscores."""
    account: str
    market: str
    side: Side
    """Of the YES leg: to buy NO at q is an ask at one dollar minus q (D-013)."""
    price_e4: int
    """YES price in ten-thousandths of a dollar: the worst that may be paid or taken."""
    qty_e2: int
    mode: Purpose = Purpose.MANUAL
    max_wait_s: float = 60.0
    poll_s: float = 1.0
    by: str
    reason: str


class ConfirmationV1(Wire, frozen=True, kw_only=True):
    """What became of one order; status, order and error message are D-011's fields."""

    request_id: str
    decision_id: str
    mode: Purpose
    status: ConfirmStatus
    order: OrderV1 | None
    """None where no order was ever made."""
    error_message: str
    """Empty only where everything was filled."""
    asked_e2: int
    filled_e2: int
    """As told by anyone."""
    booked_e2: int
    """Counted in the position, fill by fill; positions come from fills only (D-003)."""
    is_acceptable: bool
    """At least the configured share, 0.8, of what was asked for was filled (D-008)."""
    paid_e6: int
    """Price times quantity of the booked fills."""
    fees_e6: int
    average_price_e4: int | None
    """Rounded against us; None without a booked fill."""
    decision_bid_e4: int | None
    decision_ask_e4: int | None
    """The touch when the order was decided."""
    slippage_mid_e6: int | None
    """Paid beyond the middle of that touch, rounded against us; negative is better (D-009)."""
    slippage_limit_e6: int | None
    """Paid beyond the limit price: never above 0 at an honest venue."""
    waited_ms: int
    polls: int


class ConfirmAskV1(Wire, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``svc.executor.confirm``: several orders confirmed together (D-010)."""

    request_ids: tuple[str, ...]
    max_wait_s: float = 60.0


class ConfirmBatchV1(Wire, frozen=True, kw_only=True):
    """What became of several orders."""

    confirmations: tuple[ConfirmationV1, ...]
    pending: tuple[str, ...]
    """Asked for and not over yet."""
    missing: tuple[str, ...]
    """Never heard of."""
    filled_e2: int
    asked_e2: int
    paid_e6: int
    fees_e6: int
    is_acceptable: bool
    """Every one of them is."""


class FlattenAskV1(Wire, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``svc.executor.flatten``: close every position within collar and cost cap."""

    request_id: str
    account: str
    by: str
    reason: str
    is_dry_run: bool = True
    """Only an explicit no sends anything."""


class FlattenSliceV1(Wire, frozen=True, kw_only=True):
    """One exit of a flattening, made or planned."""

    market: str
    side: Side
    price_e4: int
    """Its limit: the collar's edge, never beyond."""
    qty_e2: int
    reference_e4: float
    expected_e6: int
    """Cost if all of it trades at the touch: distance to the reference plus fee."""
    worst_e6: int
    """Cost if all of it trades at the limit; this is what the cap is held against beforehand."""
    confirmation: ConfirmationV1 | None = None
    cost_e6: int = 0
    """What it cost: distance to the reference plus fees, at least 0."""


class FlattenLeftV1(Wire, frozen=True, kw_only=True):
    """A position that is still there, and why."""

    market: str
    qty_e2: int
    reason: str


class FlattenReportV1(Wire, frozen=True, kw_only=True):
    """What a flattening did, or would do."""

    request_id: str
    account: str
    is_dry_run: bool
    is_flat: bool
    refused: tuple[str, ...]
    """Why nothing was done; empty where something could be."""
    stopped: str
    """Why it ended before everything was tried; empty where it went through."""
    cancelled: int
    """Orders that were cancelled before the first exit."""
    is_verified: bool
    """The venue's listing came back empty before the first exit."""
    slices: tuple[FlattenSliceV1, ...]
    left: tuple[FlattenLeftV1, ...]
    cost_e6: int
    cost_e6_max: int
    collar_e4: int
    took_ms: int

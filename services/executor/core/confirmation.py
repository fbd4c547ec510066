"""What became of an order that somebody waits for: pushed news first, reads as the fallback.

Rules of the file:

* News arrives where it always does, at the order itself; here it is only looked at, so a
  push and a poll can not disagree. A poll is asked for while no news has ended the order.
* A resting quote (`Purpose.MAKER`) is never polled, timed out or cancelled here: not being
  filled yet is what it is for (D-012).
* A wait that is over cancels, and goes on waiting until the order is known to have ended:
  what was filled meanwhile is counted, and the answer is `timeout` all the same (D-007).
* What can not be verified in time is `unknown`, never guessed. The order stays open at its
  worst; its own look-ups settle it later.
* An end is told when its fills are booked, because positions, prices and fees come from
  fills only (D-003); fills that do not come in time are told as filled and not booked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from libs.common.domain.side import Side
from libs.common.messages.execution import OrderState, OrderV1, Purpose
from libs.common.messages.orders import ConfirmationV1, ConfirmBatchV1, ConfirmStatus
from services.executor.core.orders import OwnOrder

_S = 1_000_000_000
SHARE_E4 = 10_000


@dataclass(frozen=True, slots=True)
class ConfirmTerms:
    """How long to wait for what.

    Attributes:
        max_wait_ns: From the request until the order is cancelled (D-001).
        poll_ns: Between two reads of the order (D-002).
        acceptable_e4: Share of the quantity, ten-thousandths, from which a part is acceptable (D-008).
        verify_ns: How long after the wait the end may take to be known.
        book_ns: How long after its end an order's told fills may take to be booked.
    """

    max_wait_ns: int = 60 * _S
    poll_ns: int = _S
    acceptable_e4: int = 8_000
    verify_ns: int = 10 * _S
    book_ns: int = 3 * _S


@dataclass(frozen=True, slots=True)
class Decided:
    """What the order was decided on: who asked under which name, and the touch at that moment."""

    request_id: str
    bid_e4: int | None = None
    ask_e4: int | None = None


@dataclass(frozen=True, slots=True)
class ConfirmStep:
    """What to do now.

    Attributes:
        poll: Read the order from the venue.
        cancel: Ask for its cancel.
        status: How it ended; None while it goes on.
        message: Why it is not simply filled.
    """

    poll: bool = False
    cancel: bool = False
    status: ConfirmStatus | None = None
    message: str = ""


_WAIT = ConfirmStep()
_FAILED = {OrderState.REFUSED}


@dataclass(slots=True)
class Confirming:
    """One order on its way to an end.

    Attributes:
        order: As the book of own orders has it; all evidence arrives there.
        asked_e2: What was asked for.
        began_ns: When the wait began.
        cancelled_ns: When the wait was over and the first cancel was asked for.
        ended_ns: When the order was first seen ended.
    """

    order: OwnOrder
    decided: Decided
    terms: ConfirmTerms
    asked_e2: int
    began_ns: int
    polls: int = 0
    cancelled_ns: int | None = None
    ended_ns: int | None = None
    _polled_ns: int | None = None
    _asked_cancel_ns: int = 0

    def step(self, now_ns: int) -> ConfirmStep:
        """Return what to do now."""
        if not self.order.is_live:
            return self._ended(now_ns)
        self.ended_ns = None  # late evidence may wake an order
        if self.order.purpose is Purpose.MAKER:
            return _WAIT
        if now_ns - self.began_ns < self.terms.max_wait_ns:
            return ConfirmStep(poll=self._is_poll_due(now_ns))
        if self.cancelled_ns is None:
            self.cancelled_ns = now_ns
        elif now_ns - self.cancelled_ns >= self.terms.verify_ns:
            return ConfirmStep(status=ConfirmStatus.UNKNOWN, message=self._why_unknown())
        return ConfirmStep(poll=self._is_poll_due(now_ns), cancel=self._is_cancel_due(now_ns))

    def result(self, step: ConfirmStep, account: str, wall_offset_ns: int, now_ns: int) -> ConfirmationV1:
        """Return the confirmation of a step that ends it."""
        assert step.status is not None, "an end"
        order = self.order.message(account, wall_offset_ns)
        return confirmation(
            self.decided,
            self.order,
            order,
            step.status,
            step.message,
            asked_e2=self.asked_e2,
            acceptable_e4=self.terms.acceptable_e4,
            waited_ms=(now_ns - self.began_ns) // 1_000_000,
            polls=self.polls,
        )

    # Only what the venue has named can be read; a nameless one is searched for by the look-ups that settle
    # unknown orders.
    def _is_poll_due(self, now_ns: int) -> bool:
        if self._polled_ns is None:
            self._polled_ns = self.began_ns
        if not self.order.order_id or now_ns - self._polled_ns < self.terms.poll_ns:
            return False
        self._polled_ns = now_ns
        self.polls += 1
        return True

    def _is_cancel_due(self, now_ns: int) -> bool:
        if not self.order.order_id or (self.order.is_in_flight and not self.order.is_cancel_lost):
            return False
        if self._asked_cancel_ns and now_ns - self._asked_cancel_ns < self.terms.poll_ns:
            return False
        self._asked_cancel_ns = now_ns
        return True

    def _ended(self, now_ns: int) -> ConfirmStep:
        order = self.order
        if self.ended_ns is None:
            self.ended_ns = now_ns
        if order.booked_e2 < order.filled_e2 and now_ns - self.ended_ns < self.terms.book_ns:
            return _WAIT
        return self._told(_status(order, self.asked_e2))

    def _told(self, status: ConfirmStatus) -> ConfirmStep:
        filled = f"{self.order.filled_e2} of {self.asked_e2} (E2) filled"
        unbooked = self.order.filled_e2 - self.order.booked_e2
        beside = f"; {unbooked} (E2) told and not booked yet" if unbooked > 0 else ""
        if self.cancelled_ns is not None and status is not ConfirmStatus.ERROR:
            wait_s = self.terms.max_wait_ns / _S
            return ConfirmStep(
                status=ConfirmStatus.TIMEOUT, message=f"cancelled after {wait_s:g} s: {filled}{beside}"
            )
        if status is ConfirmStatus.FILLED:
            return ConfirmStep(status=status, message=beside.removeprefix("; "))
        reason = self.order.reason or "ended"
        return ConfirmStep(status=status, message=f"{reason}: {filled}{beside}")

    def _why_unknown(self) -> str:
        verify_s = self.terms.verify_ns / _S
        return (
            f"state {self.order.state.value}: no end known {verify_s:g} s after the wait; "
            f"{self.order.filled_e2} of {self.asked_e2} (E2) filled so far"
        )


def _status(order: OwnOrder, asked_e2: int) -> ConfirmStatus:
    if order.filled_e2 >= asked_e2:
        return ConfirmStatus.FILLED
    if order.filled_e2:
        return ConfirmStatus.PARTIAL
    return ConfirmStatus.ERROR if order.state in _FAILED else ConfirmStatus.CANCELLED


def is_acceptable(filled_e2: int, asked_e2: int, acceptable_e4: int) -> bool:
    """Return whether enough was filled: at least the share, and something at all."""
    return filled_e2 > 0 and filled_e2 * SHARE_E4 >= asked_e2 * acceptable_e4


def slippage_e6(side: Side, paid_e6: int, qty_e2: int, twice_e4: int) -> int:
    """Return what was paid beyond a price, rounded against us; negative is better than it.

    Args:
        side: Of our order.
        paid_e6: Price times quantity of the fills.
        qty_e2: Their quantity.
        twice_e4: Twice the price: the middle of a touch lies on half steps.
    """
    return -(-side.sign * (2 * paid_e6 - twice_e4 * qty_e2) // 2)


def confirmation(
    decided: Decided,
    own: OwnOrder,
    order: OrderV1 | None,
    status: ConfirmStatus,
    message: str,
    *,
    asked_e2: int,
    acceptable_e4: int,
    waited_ms: int,
    polls: int,
) -> ConfirmationV1:
    """Return the confirmation of an order as it stands."""
    side, booked_e2 = own.side, own.booked_e2
    has_mid = decided.bid_e4 is not None and decided.ask_e4 is not None
    twice_mid_e4 = (decided.bid_e4 or 0) + (decided.ask_e4 or 0)
    average = None
    if booked_e2:
        average = -(-own.paid_e6 // booked_e2) if side is Side.BID else own.paid_e6 // booked_e2
    return ConfirmationV1(
        request_id=decided.request_id,
        decision_id=own.decision_id,
        mode=own.purpose,
        status=status,
        order=order,
        error_message=message,
        asked_e2=asked_e2,
        filled_e2=own.filled_e2,
        booked_e2=booked_e2,
        is_acceptable=is_acceptable(own.filled_e2, asked_e2, acceptable_e4),
        paid_e6=own.paid_e6,
        fees_e6=own.fees_e6,
        average_price_e4=average,
        decision_bid_e4=decided.bid_e4,
        decision_ask_e4=decided.ask_e4,
        slippage_mid_e6=(
            slippage_e6(side, own.paid_e6, booked_e2, twice_mid_e4) if booked_e2 and has_mid else None
        ),
        slippage_limit_e6=(
            slippage_e6(side, own.paid_e6, booked_e2, 2 * own.price_e4) if booked_e2 else None
        ),
        waited_ms=waited_ms,
        polls=polls,
    )


def never_placed(
    decided: Decided, mode: Purpose, decision_id: str, message: str, *, asked_e2: int, waited_ms: int = 0
) -> ConfirmationV1:
    """Return the confirmation of a request of which no order was ever made."""
    return ConfirmationV1(
        request_id=decided.request_id,
        decision_id=decision_id,
        mode=mode,
        status=ConfirmStatus.ERROR,
        order=None,
        error_message=message,
        asked_e2=asked_e2,
        filled_e2=0,
        booked_e2=0,
        is_acceptable=False,
        paid_e6=0,
        fees_e6=0,
        average_price_e4=None,
        decision_bid_e4=decided.bid_e4,
        decision_ask_e4=decided.ask_e4,
        slippage_mid_e6=None,
        slippage_limit_e6=None,
        waited_ms=waited_ms,
        polls=0,
    )


def together(
    confirmations: Sequence[ConfirmationV1], pending: Iterable[str] = (), missing: Iterable[str] = ()
) -> ConfirmBatchV1:
    """Return several orders as one: acceptable only if each of them is and none is open or missing."""
    still, never = tuple(pending), tuple(missing)
    return ConfirmBatchV1(
        confirmations=tuple(confirmations),
        pending=still,
        missing=never,
        filled_e2=sum(one.filled_e2 for one in confirmations),
        asked_e2=sum(one.asked_e2 for one in confirmations),
        paid_e6=sum(one.paid_e6 for one in confirmations),
        fees_e6=sum(one.fees_e6 for one in confirmations),
        is_acceptable=bool(confirmations)
        and not still
        and not never
        and all(one.is_acceptable for one in confirmations),
    )

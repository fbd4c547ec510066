"""The confirmation core in virtual time: every status, every edge, late fills, both spellings."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.domain.side import Side
from libs.common.messages.execution import OrderState, Purpose
from libs.common.messages.orders import ConfirmationV1, ConfirmStatus
from services.executor.core.confirmation import (
    Confirming,
    ConfirmStep,
    ConfirmTerms,
    Decided,
    is_acceptable,
    never_placed,
    slippage_e6,
    together,
)
from services.executor.core.orders import OwnOrder
from tests.support.executor_builders import START_NS, an_order

S = 1_000_000_000


def waiting(order: OwnOrder | None = None, *, asked_e2: int = 500, **changes: Any) -> Confirming:
    own = order if order is not None else an_order(purpose=Purpose.MANUAL)
    terms = ConfirmTerms(**changes)
    return Confirming(own, Decided("r1", 4_700, 5_300), terms, asked_e2=asked_e2, began_ns=START_NS)


def book(order: OwnOrder, qty_e2: int, price_e4: int, fee_e6: int = 0) -> None:
    """Book a fill as the intake does."""
    order.filled_e2 = max(order.filled_e2, order.booked_e2 + qty_e2)
    order.booked_e2 += qty_e2
    order.paid_e6 += price_e4 * qty_e2
    order.fees_e6 += fee_e6


def told(confirming: Confirming, seconds: float = 1.0) -> ConfirmationV1:
    now_ns = START_NS + int(seconds * S)
    step = confirming.step(now_ns)
    assert step.status is not None, step
    return confirming.result(step, "main", 0, now_ns)


def test_defaults_are_a_minute_of_waiting_a_read_a_second_and_four_fifths() -> None:
    terms = ConfirmTerms()
    assert (terms.max_wait_ns, terms.poll_ns, terms.acceptable_e4) == (60 * S, S, 8_000)


@pytest.mark.parametrize("word", ["cancelled", "canceled", "CANCELED", "Cancelled"])
def test_both_spellings_of_cancelled_are_read(word: str) -> None:
    assert ConfirmStatus(word) is ConfirmStatus.CANCELLED


def test_a_word_that_is_no_status_is_refused() -> None:
    with pytest.raises(ValueError, match="gone"):
        ConfirmStatus("gone")


def test_order_filled_whole_is_filled_without_a_word_of_error() -> None:
    confirming = waiting()
    book(confirming.order, 500, 4_800)
    confirming.order.state = OrderState.EXECUTED
    result = told(confirming)
    assert (result.status, result.error_message, result.is_acceptable) == (ConfirmStatus.FILLED, "", True)
    assert result.order is not None
    assert result.order.purpose is Purpose.MANUAL


@pytest.mark.parametrize(
    ("filled_e2", "status", "is_fine"),
    [
        (0, ConfirmStatus.CANCELLED, False),
        (1, ConfirmStatus.PARTIAL, False),
        (399, ConfirmStatus.PARTIAL, False),
        (400, ConfirmStatus.PARTIAL, True),
        (499, ConfirmStatus.PARTIAL, True),
    ],
)
def test_part_is_acceptable_from_four_fifths_on(filled_e2: int, status: ConfirmStatus, is_fine: bool) -> None:
    confirming = waiting()
    if filled_e2:
        book(confirming.order, filled_e2, 4_800)
    confirming.order.state, confirming.order.reason = OrderState.CANCELLED, "SelfTradeCancel"
    result = told(confirming)
    assert (result.status, result.is_acceptable) == (status, is_fine)
    assert result.error_message.startswith("SelfTradeCancel: ")


def test_nothing_filled_is_never_acceptable_whatever_the_share() -> None:
    assert not is_acceptable(0, 500, 0)
    assert is_acceptable(1, 500, 0)


@pytest.mark.parametrize("reason", ["unsent: halt_heard", "insufficient_balance", "never_arrived"])
def test_order_that_never_rested_is_an_error_with_its_reason(reason: str) -> None:
    confirming = waiting()
    confirming.order.state, confirming.order.reason = OrderState.REFUSED, reason
    result = told(confirming)
    assert result.status is ConfirmStatus.ERROR
    assert reason in result.error_message


def test_news_that_ended_the_order_is_told_before_any_read() -> None:
    confirming = waiting()
    assert confirming.step(START_NS) == ConfirmStep()
    book(confirming.order, 500, 4_800)
    confirming.order.state = OrderState.EXECUTED
    assert told(confirming, 0.01).polls == 0


def test_order_without_news_is_read_once_each_interval() -> None:
    confirming = waiting(poll_ns=S)
    reads = [tenth for tenth in range(50) if confirming.step(START_NS + tenth * S // 10).poll]
    assert reads == [10, 20, 30, 40]


def test_order_without_a_name_is_not_read() -> None:
    confirming = waiting(an_order(purpose=Purpose.MANUAL, order_id="", state=OrderState.SENT))
    assert not confirming.step(START_NS + 5 * S).poll


def test_wait_that_is_over_cancels_once_and_waits_for_the_end() -> None:
    confirming = waiting(max_wait_ns=2 * S)
    assert not confirming.step(START_NS + 2 * S - 1).cancel
    assert confirming.step(START_NS + 2 * S).cancel
    confirming.order.state, confirming.order.cancels_open = OrderState.CANCEL_PENDING, 1
    step = confirming.step(START_NS + 3 * S + 1)
    assert (step.cancel, step.status) == (False, None)
    confirming.order.state = OrderState.CANCELLED
    result = told(confirming, 3.1)
    assert (result.status, result.filled_e2, result.waited_ms) == (ConfirmStatus.TIMEOUT, 0, 3_100)
    assert "cancelled after 2 s" in result.error_message


def test_cancel_that_was_not_done_is_asked_again_after_an_interval() -> None:
    confirming = waiting(max_wait_ns=S, poll_ns=S)
    asked = [t for t in range(10, 45) if confirming.step(START_NS + t * S // 10).cancel]
    assert asked == [10, 20, 30, 40]


@pytest.mark.parametrize(("raced_e2", "is_fine"), [(100, False), (450, True), (500, True)])
def test_fills_that_race_the_cancel_are_counted_and_it_is_a_timeout_all_the_same(
    raced_e2: int, is_fine: bool
) -> None:
    confirming = waiting(max_wait_ns=S)
    assert confirming.step(START_NS + S).cancel
    book(confirming.order, raced_e2, 4_800)
    confirming.order.state = OrderState.EXECUTED if raced_e2 == 500 else OrderState.CANCELLED
    result = told(confirming, 1.2)
    assert (result.status, result.filled_e2, result.is_acceptable) == (
        ConfirmStatus.TIMEOUT,
        raced_e2,
        is_fine,
    )


def test_order_that_ends_by_itself_just_before_the_wait_is_over_is_no_timeout() -> None:
    confirming = waiting(max_wait_ns=S)
    confirming.order.state = OrderState.CANCELLED
    assert told(confirming, 1.0).status is ConfirmStatus.CANCELLED


def test_end_that_nobody_can_verify_is_unknown() -> None:
    order = an_order(purpose=Purpose.EXIT, order_id="", state=OrderState.UNKNOWN)
    confirming = waiting(order, max_wait_ns=S, verify_ns=2 * S)
    step = confirming.step(START_NS + S)
    assert (step.status, step.cancel) == (None, False), "what has no name cannot be cancelled"
    assert confirming.step(START_NS + 3 * S - 1).status is None
    result = told(confirming, 3.0)
    assert result.status is ConfirmStatus.UNKNOWN
    assert "unknown" in result.error_message


def test_unknown_order_that_turns_up_after_the_wait_is_cancelled() -> None:
    order = an_order(purpose=Purpose.MANUAL, order_id="", state=OrderState.UNKNOWN)
    confirming = waiting(order, max_wait_ns=S, verify_ns=5 * S)
    confirming.step(START_NS + S)
    order.order_id, order.state = "venue-1", OrderState.RESTING
    assert confirming.step(START_NS + 2 * S).cancel


def test_end_is_told_when_its_fills_are_booked() -> None:
    confirming = waiting()
    confirming.order.state, confirming.order.filled_e2 = OrderState.EXECUTED, 500
    assert confirming.step(START_NS + S).status is None
    book(confirming.order, 500, 4_800)
    assert told(confirming, 1.5).booked_e2 == 500


def test_fills_that_are_told_and_never_booked_are_shown_as_such_in_the_end() -> None:
    confirming = waiting(book_ns=3 * S)
    confirming.order.state, confirming.order.filled_e2 = OrderState.EXECUTED, 500
    assert confirming.step(START_NS).status is None
    result = told(confirming, 3.0)
    assert (result.status, result.filled_e2, result.booked_e2) == (ConfirmStatus.FILLED, 500, 0)
    assert "not booked" in result.error_message
    assert result.slippage_limit_e6 is None


def test_order_that_comes_back_to_life_is_waited_for_again() -> None:
    confirming = waiting(book_ns=S)
    confirming.order.state, confirming.order.filled_e2 = OrderState.CANCELLED, 100
    confirming.step(START_NS)
    confirming.order.state = OrderState.PARTLY_FILLED
    assert confirming.step(START_NS + S // 2).status is None
    confirming.order.state = OrderState.CANCELLED
    assert confirming.step(START_NS + S).status is None, "the time for its fills begins anew"
    assert confirming.step(START_NS + 2 * S).status is ConfirmStatus.PARTIAL


def test_resting_quote_is_never_read_cancelled_or_timed_out() -> None:
    confirming = waiting(an_order(), max_wait_ns=S)
    assert [confirming.step(START_NS + t * S) for t in range(0, 3_600, 60)] == [ConfirmStep()] * 60
    confirming.order.state = OrderState.CANCELLED
    assert told(confirming, 3_600).status is ConfirmStatus.CANCELLED


@pytest.mark.parametrize(
    ("side", "price_e4", "mid_e6", "limit_e6"),
    [
        (Side.BID, 4_900, -50_000, 50_000),
        (Side.BID, 5_000, 0, 100_000),
        (Side.BID, 5_100, 50_000, 150_000),
        (Side.ASK, 5_100, -50_000, -150_000),
        (Side.ASK, 4_900, 50_000, -50_000),
    ],
)
def test_slippage_is_told_against_the_middle_and_the_limit(
    side: Side, price_e4: int, mid_e6: int, limit_e6: int
) -> None:
    confirming = waiting(an_order(purpose=Purpose.MANUAL, side=side, price_e4=4_800))
    book(confirming.order, 500, price_e4, fee_e6=7)
    confirming.order.state = OrderState.EXECUTED
    result = told(confirming)
    assert (result.slippage_mid_e6, result.slippage_limit_e6) == (mid_e6, limit_e6)
    assert (result.average_price_e4, result.fees_e6, result.paid_e6) == (price_e4, 7, price_e4 * 500)


def test_slippage_and_average_are_rounded_against_us() -> None:
    assert slippage_e6(Side.BID, 14_703, 3, 9_801) == 2  # 1.5 above the middle of 4,900.5
    assert slippage_e6(Side.ASK, 14_700, 3, 9_801) == 2
    for side, average in ((Side.BID, 4_901), (Side.ASK, 4_900)):
        confirming = waiting(an_order(purpose=Purpose.MANUAL, side=side))
        book(confirming.order, 1, 4_900)
        book(confirming.order, 2, 4_901)
        confirming.order.state = OrderState.CANCELLED
        assert told(confirming).average_price_e4 == average


def test_without_a_touch_there_is_no_slippage_against_its_middle() -> None:
    confirming = waiting()
    confirming.decided = Decided("r1", 4_700, None)
    book(confirming.order, 500, 4_800)
    confirming.order.state = OrderState.EXECUTED
    assert told(confirming).slippage_mid_e6 is None


def test_several_are_acceptable_only_together() -> None:
    fine = waiting()
    book(fine.order, 400, 4_800, fee_e6=3)
    fine.order.state = OrderState.CANCELLED
    good = told(fine)
    bad = never_placed(Decided("r2"), Purpose.EXIT, "", "refused", asked_e2=100)
    assert together([good]).is_acceptable
    both = together([good, bad])
    assert (both.is_acceptable, both.filled_e2, both.asked_e2, both.fees_e6) == (False, 400, 600, 3)
    assert not together([good], pending=["r3"]).is_acceptable
    assert not together([good], missing=["r4"]).is_acceptable
    assert not together([]).is_acceptable

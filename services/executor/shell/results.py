"""Words for what goes out and what came back: the venue's order, the journal's item, the log's line."""

from __future__ import annotations

from libs.common.kalshi.model import Accepted, Outcome, Refused, Unknown
from libs.common.kalshi.order_sender import Amend, NewOrder, SendOutcome, Unsent
from libs.common.messages.execution import IntentItemV1, ResultItemV1
from services.executor.core.answers import Answer, NotSent
from services.executor.core.effects import Effect, Log
from services.executor.core.requests import AmendRequest, CreateRequest


def new_order(request: CreateRequest | AmendRequest) -> NewOrder:
    """Return a create as the venue is asked for it."""
    assert isinstance(request, CreateRequest), request
    return NewOrder(
        market=request.market,
        shard=request.shard,
        client_order_id=request.client_order_id,
        side=request.side,
        price_e4=request.price_e4,
        qty_e2=request.qty_e2,
        tif="immediate_or_cancel" if request.is_immediate else "good_till_canceled",
        post_only=request.post_only,
        reduce_only=request.reduce_only,
        expires_ms=None if request.is_immediate else request.expires_ms,
        order_group_id=request.order_group_id,
        cancel_on_pause=True,
    )


def amend(request: CreateRequest | AmendRequest) -> Amend:
    """Return an amend as the venue is asked for it."""
    assert isinstance(request, AmendRequest), request
    return Amend(
        order_id=request.order_id,
        client_order_id=request.client_order_id,
        market=request.market,
        shard=request.shard,
        side=request.side,
        price_e4=request.price_e4,
        total_e2=request.total_e2,
        expires_ms=request.expires_ms,
    )


def answer_of(outcome: SendOutcome) -> Answer:
    """Return an outcome as the core takes it."""
    return NotSent(outcome.reason) if isinstance(outcome, Unsent) else outcome


def result_item(item: IntentItemV1, answer: Answer) -> ResultItemV1:
    """Return what the journal says of an item's answer."""
    order_id, code, fill_e2, remaining_e2 = item.order_id, "", 0, 0
    if isinstance(answer, Accepted):
        outcome, order_id = "accepted", answer.order_id
        fill_e2, remaining_e2 = answer.filled_e2, answer.remaining_e2
    elif isinstance(answer, Refused):
        outcome, code = "refused", answer.code
    elif isinstance(answer, Unknown):
        outcome, code = "unknown", answer.reason
    else:
        outcome, code = "unsent", answer.reason
    return ResultItemV1(
        client_order_id=item.client_order_id,
        action=item.action,
        outcome=outcome,
        order_id=order_id,
        code=code,
        fill_e2=fill_e2,
        remaining_e2=remaining_e2,
    )


def order_result(
    market: str,
    decision_id: str,
    action: str,
    answer: Answer | Outcome,
    latency_us: int,
    *,
    order_id: str = "",
) -> Effect:
    """Return the log line of one answer (C-036); ``order_id`` is what the request named, if it did."""
    status = type(answer).__name__.lower()
    error = getattr(answer, "code", "") or getattr(answer, "reason", "")
    is_fine = isinstance(answer, Accepted | NotSent)
    return Log(
        "ORDER_RESULT",
        level="INFO" if is_fine else "WARNING",
        fields={
            "market": market,
            "decision_id": decision_id,
            "action": action,
            "status": status,
            "order_id": getattr(answer, "order_id", "") or order_id,
            "latency_ms": latency_us / 1_000,
            "error_msg": error,
        },
    )

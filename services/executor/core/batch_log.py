"""The log lines of a batch, with the fields of requirements B-041 to B-048.

Orders of one batch keep their own decision ids; the batch has one of its own, made of
run, kind and number, so that both can be searched for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from libs.common.kalshi.model import Accepted, Outcome, Refused
from libs.common.messages.execution import Action, IntentItemV1, IntentV1
from services.executor.core.answers import Answer
from services.executor.core.effects import Effect, Log
from services.executor.core.requests import CancelRequest
from services.executor.core.words import order_words


def batch_place(run: str, intent: IntentV1) -> list[Effect]:
    """Return the line that tells what a batch is about to place; nothing for a batch without creates."""
    creates = [item for item in intent.items if item.action is Action.CREATE]
    if not creates:
        return []
    orders = [order_words(item.market, item.side, item.price_e4, item.qty_e2) for item in creates]
    fields = {
        "decision_id": f"{run}:BATCH_PLACE:{intent.batch}",
        "batch_number": intent.batch,
        "total_batches": 1,
        "batch_size": len(creates),
        "total_to_place": len(creates),
        "orders": orders,
    }
    return [Log("BATCH_PLACE", fields=fields)]


def batch_placed(run: str, intent: IntentV1, answers: Mapping[str, Answer]) -> list[Effect]:
    """Return a line for each order of a batch and the summary."""
    creates = [item for item in intent.items if item.action is Action.CREATE]
    if not creates:
        return []
    effects: list[Effect] = []
    succeeded = 0
    for item in creates:
        answer = answers[item.client_order_id]
        fields = _order_fields(item, intent.batch)
        if isinstance(answer, Accepted):
            succeeded += 1
            effects.append(Log("ORDER_PLACED", fields={**fields, "order_id": answer.order_id}))
        else:
            fields["error_msg"] = answer.code if isinstance(answer, Refused) else answer.reason
            effects.append(Log("BATCH_PLACE_FAILED", level="WARNING", fields=fields))
    totals = {
        "decision_id": f"{run}:BATCH_PLACE:{intent.batch}",
        "total_succeeded": succeeded,
        "total_failed": len(creates) - succeeded,
        "total_requested": len(creates),
    }
    effects.append(Log("BATCH_PLACE_SUMMARY", fields=totals))
    if succeeded * 2 < len(creates):
        # B-075: told, not acted upon; whether trading goes on is riskguard's to decide.
        effects.append(Log("BATCH_FAILURE_RATIO", level="WARNING", fields=totals))
    return effects


def batch_cancel(run: str, number: int, cancels: Sequence[CancelRequest]) -> list[Effect]:
    """Return the line that tells what a batch cancels."""
    fields = {
        "decision_id": f"{run}:BATCH_CANCEL:{number}",
        "batch_number": number,
        "total_batches": 1,
        "batch_size": len(cancels),
        "total_to_cancel": len(cancels),
        "order_ids": [cancel.order_id for cancel in cancels],
    }
    return [Log("BATCH_CANCEL", fields=fields)]


def batch_cancelled(
    run: str, number: int, cancels: Sequence[CancelRequest], outcomes: Sequence[Outcome]
) -> list[Effect]:
    """Return a line for each cancel that was not done and the summary."""
    decision_id = f"{run}:BATCH_CANCEL:{number}"
    effects: list[Effect] = []
    for cancel, outcome in zip(cancels, outcomes, strict=True):
        if isinstance(outcome, Accepted):
            continue
        fields = {
            "decision_id": decision_id,
            "order_id": cancel.order_id,
            "market": cancel.market or "unknown",
            "error_msg": outcome.code if isinstance(outcome, Refused) else outcome.reason,
            "error_class": type(outcome).__name__.lower(),
            "batch_number": number,
        }
        effects.append(Log("BATCH_CANCEL_FAILED", level="WARNING", fields=fields))
    totals = {
        "decision_id": decision_id,
        "total_succeeded": len(cancels) - len(effects),
        "total_failed": len(effects),
        "total_requested": len(cancels),
    }
    return [*effects, Log("BATCH_CANCEL_SUMMARY", fields=totals)]


def _order_fields(item: IntentItemV1, batch: int) -> dict[str, object]:
    return {
        "decision_id": item.decision_id,
        **order_words(item.market, item.side, item.price_e4, item.qty_e2),
        "client_order_id": item.client_order_id,
        "batch_number": batch,
    }

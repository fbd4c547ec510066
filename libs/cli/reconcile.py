"""`dora reconcile`: compare the three witnesses now, and say what came out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from libs.cli.operate import OperationRefused
from libs.common.bus.api import Bus
from libs.common.domain.units import format_cash, format_price, format_qty
from libs.common.messages.risk import ReconResultV1
from libs.common.subjects import Subjects

_ANSWER_S: Final = 8.0


async def run_now(bus: Bus, subjects: Subjects) -> ReconResultV1:
    """Return the result of a comparison that began after the call.

    Raises:
        OperationRefused: The reconciler could not compare, with its reason.
        BusError: It did not answer.
    """
    message = await bus.request(subjects.of("svc", "reconciler", "run_now"), b"", timeout_s=_ANSWER_S)
    try:
        answer = msgspec.json.decode(message.data, type=dict[str, Any])
        if "error" in answer:
            raise OperationRefused(str(answer["error"]))
        return msgspec.convert(answer, ReconResultV1)
    except msgspec.MsgspecError:
        raise OperationRefused(f"an answer that cannot be read: {message.data[:200]!r}") from None


def lines(result: ReconResultV1) -> Iterator[str]:
    """Yield a result for people, the four fields of the requirement first (D-025)."""
    yield f"orphaned_detected: {result.orphaned_detected}"
    yield f"ghost_detected: {result.ghost_detected}"
    yield f"reconciled: {result.reconciled}"
    yield f"errors: {len(result.errors)}"
    yield from (f"  {text}" for text in result.errors)
    yield f"unexplained contracts: {format_qty(result.position_residual_e2)}"
    yield f"unexplained dollars: {format_cash(result.cash_residual_e6)}"
    for drift in result.drifts:
        yield f"drift: {drift.kind} {drift.market} {drift.key}, action {drift.action}"
        yield (
            f"  executor says {drift.executor_says}, drop copy {drift.drop_copy_says}, "
            f"listing {drift.listing_says}; alone: {drift.odd_one_out or 'nobody can be named'}"
        )
    for orphan in result.orphans:
        yield (
            f"orphan: {orphan.ticker} {orphan.side} {format_qty(orphan.size_e2)} "
            f"at {format_price(orphan.avg_price_e4)} {orphan.order_id or '(position)'}"
        )
    yield f"compared in {result.took_ms} ms, epoch {result.epoch}, comparison {result.cycle}"

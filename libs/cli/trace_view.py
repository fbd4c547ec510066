"""A trace as lines for people: what happened, in order, in the words of the trade."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from libs.cli.trace import Step, Trace
from libs.common.domain.units import format_cash, format_price, format_qty


def lines(trace: Trace) -> Iterator[str]:
    """Yield the whole trace."""
    yield f"asked    {trace.asked}"
    for name, ids in (
        ("decision", trace.decision_ids),
        ("ours", trace.client_order_ids),
        ("venue's", trace.order_ids),
    ):
        yield from (f"{name:<8} {one}" for one in ids)
    is_many = len(trace.client_order_ids) > 1
    for step in trace.steps:
        of = f" [{step.client_order_id.rpartition('-')[0]}]" if is_many and step.client_order_id else ""
        yield f"{_clock(step.at)}  {step.what:<8} {words(step)}{of}"


def words(step: Step) -> str:
    """Return what a step says, in one line."""
    tell = _TELL.get(step.what)
    return str(step.detail) if tell is None else tell(step.detail)


def _book(detail: dict[str, Any]) -> str:
    return f"{detail['market']} book {detail['sequence']} of {detail['producer']}"


def _intent(detail: dict[str, Any]) -> str:
    return f"{detail['action']} {_order(detail)} in batch {detail['batch']} of epoch {detail['epoch']}"


def _result(detail: dict[str, Any]) -> str:
    code = f" ({detail['code']})" if detail.get("code") else ""
    return f"{detail['action']} {detail['outcome']}{code} after {detail['latency_us'] / 1_000:.1f} ms"


def _state(detail: dict[str, Any]) -> str:
    why = f" ({detail['reason']})" if detail.get("reason") else ""
    filled, rest = format_qty(detail["filled_e2"]), format_qty(detail["remaining_e2"])
    return f"version {detail['version']}: {detail['state']}, filled {filled}, rests {rest}{why}"


def _fill(detail: dict[str, Any]) -> str:
    role, after = "taker" if detail["is_taker"] else "maker", format_qty(detail["position_after_e2"])
    return f"{_order(detail)} as {role}, fee {format_cash(detail['fee_e6'])}, position {after}"


def _halt(detail: dict[str, Any]) -> str:
    return f"by {detail['source']}: {detail['reason']}"


def _resume(detail: dict[str, Any]) -> str:
    return f"by {detail['by'] or detail['source']}: {detail['reason']}"


def _epoch(detail: dict[str, Any]) -> str:
    return f"{detail['number']} led by {detail['holder']}"


def _order(detail: dict[str, Any]) -> str:
    price, size = format_price(detail["price_e4"]), format_qty(detail["qty_e2"])
    return f"{detail['side']} {size} at {price} in {detail['market']}"


def _decision(detail: dict[str, Any]) -> str:
    fair = detail["fair_e4"]
    parts = [f"{detail['strategy']}: fair {'none' if fair is None else f'{fair / 10_000:.4f}'}"]
    for stage in detail["stages"]:
        moved = f"{stage['bid_ticks_e2'] / 100:+g}/{stage['ask_ticks_e2'] / 100:+g} ticks"
        why = f" ({stage['reason']})" if stage.get("reason") else ""
        parts.append(f"{stage['stage']} {moved}{why}")
    parts += [
        f"wants {quote['side']} {format_qty(quote['qty_e2'])} at {format_price(quote['price_e4'])}"
        for quote in detail["quotes"]
    ]
    parts += [
        f"no {silence['side']}: {silence['reason']} {silence.get('detail', '')}".rstrip()
        for silence in detail["silences"]
    ]
    return "; ".join(parts)


def _audit(detail: dict[str, Any]) -> str:
    rule = f" by {detail['rule']}: limit {detail['limit']}, was {detail['was']}" if detail.get("rule") else ""
    status, reason = detail.get("status", ""), detail.get("reason", "")
    return " ".join(part for part in (detail["event_type"], status, reason) if part) + rule


def _clock(at: str) -> str:
    """Return the time of day to the microsecond, in columns."""
    whole, _, part = at.removesuffix("Z").partition(".")
    return f"{whole.partition('T')[2] or '-':>8}.{part:0<6.6}"


_TELL: Final[Mapping[str, Callable[[dict[str, Any]], str]]] = {
    "book": _book,
    "decision": _decision,
    "intent": _intent,
    "result": _result,
    "order": _state,
    "fill": _fill,
    "audit": _audit,
    "halt": _halt,
    "resume": _resume,
    "epoch": _epoch,
}

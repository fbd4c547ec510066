"""Decide what became of a write from what came back, or did not.

Three answers exist (design rule 5). *Accepted* needs the venue's word about the
very order that was meant. *Refused* needs the venue's word that it did nothing.
Everything else is *Unknown*, however likely one of the two may be: a 502 after
the bytes left, a body that cannot be read, an echo of somebody else's order.

Sources: kalshi-api 11.3, 12, 13, 20 and 28.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from libs.common.kalshi.model import Accepted, Outcome, Refused, Unknown
from libs.common.kalshi.wire_errors import ErrorBody, error_of, read_error
from libs.common.kalshi.wire_orders import (
    BatchItem,
    OrderAnswer,
    read_batch_answer,
    read_order_answer,
)
from libs.common.kalshi.wire_text import MalformedWire, count_e2

NOTHING_MEANT: Final = ""

# Codes that say "we do not know either": the venue's own words for an outcome it could not tell.
# INTERNAL_ERROR is "not applied" on FIX only; for REST nobody promises it (kalshi-api 20.2, 24).
_AMBIGUOUS: Final = (
    "exchange_unavailable",
    "internal",
    "service_unavailable",
    "timeout",
    "gateway_timeout",
    "unavailable",
)
_DEPRECATED: Final = "deprecated_v1_order_endpoint"


@dataclass(frozen=True, slots=True)
class Unsent:
    """No byte left this process: the guard said no, or there was no connection to write to."""

    reason: str
    """The guard's word, or ``connect_failed``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, body whole."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes were written and no whole answer came back."""

    reason: str
    """``timeout`` or ``connection``."""


@dataclass(frozen=True, slots=True)
class Meant:
    """The order that a write is about; empty ids are not compared, nor is a quantity of 0."""

    order_id: str = NOTHING_MEANT
    client_order_id: str = NOTHING_MEANT
    qty_e2: int = 0
    """What a create asked for: its answer must account for all of it, or for what is gone."""


def refusal_of(answer: Answer) -> Refused | Unknown | None:  # noqa: PLR0911 - a return per row of the table
    """Return the refusal or doubt in an answer, None for a plain 2xx.

    A 4xx refuses when the venue itself speaks: by a code or message in any of
    its shapes. An edge's HTML page with a 4xx proves nothing but for 401, 403
    and 429, which are answered before a request is looked at.
    """
    status = answer.status
    if status == 429:
        return Refused(status, "too_many_requests", "too many requests", is_rate_limit=True)
    if status == 408:
        return Unknown(status, "timeout")
    if status >= 500:
        return Unknown(status, "server_error")
    error = read_error(answer.body)
    if 200 <= status < 300:
        if error is not None and error.code == _DEPRECATED:
            # One user saw this with a 2xx (kalshi-api 7): the write did not happen.
            return Refused(status, error.code, error.message)
        return None
    if error is None and status in {401, 403}:
        return Refused(status, "unauthorized" if status == 401 else "forbidden", "")
    if error is None or status < 400:
        return Unknown(status, "unparseable")
    return _refused(status, error)


def order_outcome(
    result: Answer | Lost, meant: Meant, *, is_cancel: bool = False, is_amend: bool = False
) -> Outcome:
    """Return what became of a create, amend, decrease or single cancel."""
    if isinstance(result, Lost):
        return Unknown(0, result.reason)
    refusal = refusal_of(result)
    if refusal is not None:
        return refusal
    try:
        answer = read_order_answer(result.body)
        return _accepted(result.status, answer, meant, is_cancel=is_cancel, is_amend=is_amend)
    except MalformedWire:
        return Unknown(result.status, "unparseable")


def plain_outcome(result: Answer | Lost) -> Outcome:
    """Return what became of a write that answers nothing: cancel-all, group trigger."""
    if isinstance(result, Lost):
        return Unknown(0, result.reason)
    refusal = refusal_of(result)
    if refusal is not None:
        return refusal
    return Accepted("", "", 0, 0, 0, 0)


def batch_outcomes(
    result: Answer | Lost, meant: Sequence[Meant], *, is_cancel: bool = False
) -> list[Outcome]:
    """Return one outcome per item, in the order they were meant.

    Items are matched by id, never by place: the venue does not promise an
    order. An item that the answer does not hold, or holds twice, is unknown.
    """
    if isinstance(result, Lost):
        return [Unknown(0, result.reason) for _ in meant]
    refusal = refusal_of(result)
    if refusal is not None:
        return [refusal for _ in meant]
    try:
        items = read_batch_answer(result.body)
    except MalformedWire:
        return [Unknown(result.status, "unparseable") for _ in meant]
    found: dict[str, list[BatchItem]] = {}
    for item in items:
        key = item.order_id if is_cancel else item.client_order_id
        found.setdefault(key or "", []).append(item)
    return [
        _item_outcome(
            result.status,
            found.get(one.order_id if is_cancel else one.client_order_id, []),
            one,
            is_cancel=is_cancel,
        )
        for one in meant
    ]


def _item_outcome(status: int, items: list[BatchItem], meant: Meant, *, is_cancel: bool) -> Outcome:
    if len(items) != 1:
        return Unknown(status, "foreign_echo" if items else "missing_item")
    item = items[0]
    if item.error is not None:
        error = error_of(item.error)
        return Unknown(status, "unparseable") if error is None else _refused(status, error)
    try:
        return _accepted(status, item, meant, is_cancel=is_cancel)
    except MalformedWire:
        return Unknown(status, "unparseable")


def _accepted(
    status: int, answer: OrderAnswer | BatchItem, meant: Meant, *, is_cancel: bool, is_amend: bool = False
) -> Accepted | Unknown:
    if not answer.order_id:
        return Unknown(status, "no_order_id")
    echo = answer.client_order_id or ""
    if meant.order_id and answer.order_id != meant.order_id:
        return Unknown(status, "foreign_echo")
    # A create must be named back; cancels of June 2026 omit the client id, so absence is no contradiction.
    if meant.client_order_id and echo != meant.client_order_id and (echo or not meant.order_id):
        return Unknown(status, "foreign_echo")
    # Without what remains nobody knows whether the order rests; an amend that changes neither size nor fills
    # says nothing of it. A create tells what it filled.
    is_rest_untold = not (is_cancel or is_amend) and not answer.remaining_count
    if is_rest_untold or (not meant.order_id and not answer.fill_count):
        return Unknown(status, "unparseable")
    if meant.qty_e2 and not _adds_up(answer, meant.qty_e2):
        return Unknown(status, "counts_differ")
    return Accepted(
        order_id=answer.order_id,
        client_order_id=echo or meant.client_order_id,
        filled_e2=count_e2(answer.fill_count),
        remaining_e2=0 if is_cancel else count_e2(answer.remaining_count),
        reduced_by_e2=count_e2(answer.reduced_by),
        venue_ms=answer.ts_ms or 0,
        has_remaining=is_cancel or answer.remaining_count is not None,
    )


def _adds_up(answer: OrderAnswer | BatchItem, qty_e2: int) -> bool:
    # What rests and what was filled is what was asked for; what neither rests nor was filled was killed.
    filled_e2, remaining_e2 = count_e2(answer.fill_count), count_e2(answer.remaining_count)
    return filled_e2 + remaining_e2 == qty_e2 if remaining_e2 else filled_e2 <= qty_e2


def _refused(status: int, error: ErrorBody) -> Refused | Unknown:
    if error.code.startswith(_AMBIGUOUS):
        return Unknown(status, "server_error")
    if error.code == "too_many_requests":
        return Refused(status, error.code, error.message, is_rate_limit=True)
    return Refused(status, error.code, error.message)

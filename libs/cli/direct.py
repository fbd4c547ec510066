"""What an operator asks of the executor by name: one order, its confirmation, a flattening.

Every request carries an id, so asking again is always safe: the executor makes no second
order for it. That is what the retries here live on, after a lost answer as after a standby
that took the question.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Final, TypeVar

import msgspec

from libs.cli.operate import OperationRefused
from libs.common.bus.api import Bus, BusUnavailable, OutcomeUnknown
from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4, MalformedNumber, format_price, format_qty
from libs.common.messages.base import MalformedMessage, Wire, WireDecoder, encode
from libs.common.messages.execution import Purpose
from libs.common.messages.orders import (
    ConfirmAskV1,
    ConfirmationV1,
    ConfirmBatchV1,
    FlattenAskV1,
    FlattenReportV1,
    PlaceAskV1,
)
from libs.common.subjects import Subjects

W = TypeVar("W", bound=Wire)
_STANDBY: Final = "standby"
_AGAIN_S: Final = 1.0
_MARGIN_S: Final = 30.0
"""Beyond the wait itself: the cancel, its verification, the fills' booking."""
FLATTEN_S: Final = 300.0


class _Positions(msgspec.Struct, frozen=True):
    account: str


def new_request_id() -> str:
    """Return an id that nobody has used."""
    return uuid.uuid4().hex


def leg_to_yes(action: str, leg: str, price_e4: int) -> tuple[Side, int]:
    """Return side and price of the YES leg: buying NO at q is selling YES at one dollar minus q (D-013).

    Raises:
        MalformedNumber: The words are no others than buy or sell, yes or no.
    """
    if action not in ("buy", "sell") or leg not in ("yes", "no"):
        raise MalformedNumber(f"buy or sell, yes or no, were {action!r} and {leg!r}")
    side = Side.BID if (action == "buy") is (leg == "yes") else Side.ASK
    return side, price_e4 if leg == "yes" else DOLLAR_E4 - price_e4


async def account_of(bus: Bus, subjects: Subjects) -> str:
    """Return the account that the executor trades for.

    Raises:
        OperationRefused: Its answer cannot be read.
        BusError: It did not answer.
    """
    answer = await bus.request(subjects.of("svc", "executor", "positions"), b"", timeout_s=5.0)
    try:
        return msgspec.json.decode(answer.data, type=_Positions).account
    except msgspec.DecodeError as e:
        raise OperationRefused(f"an answer that cannot be read: {e}") from None


async def place(bus: Bus, subjects: Subjects, ask: PlaceAskV1) -> ConfirmationV1:
    """Place an order and return what became of it.

    Raises:
        OperationRefused: No readable answer in time; the order may exist, `confirm` tells.
    """
    return await _until_told(
        bus,
        subjects.of("svc", "executor", "place"),
        ask,
        WireDecoder(ConfirmationV1),
        ask.max_wait_s + _MARGIN_S,
    )


async def confirm(
    bus: Bus, subjects: Subjects, request_ids: tuple[str, ...], max_wait_s: float
) -> ConfirmBatchV1:
    """Return what several requests came to, together.

    Raises:
        OperationRefused: No readable answer.
    """
    ask = ConfirmAskV1(request_ids=request_ids, max_wait_s=max_wait_s)
    subject = subjects.of("svc", "executor", "confirm")
    return await _until_told(bus, subject, ask, WireDecoder(ConfirmBatchV1), max_wait_s + _MARGIN_S)


async def flatten(bus: Bus, subjects: Subjects, ask: FlattenAskV1) -> FlattenReportV1:
    """Flatten, or rehearse it, and return the report.

    Raises:
        OperationRefused: No readable answer in time; it may be under way all the same.
    """
    subject = subjects.of("svc", "executor", "flatten")
    return await _until_told(bus, subject, ask, WireDecoder(FlattenReportV1), FLATTEN_S)


async def _until_told(bus: Bus, subject: str, ask: Wire, decoder: WireDecoder[W], timeout_s: float) -> W:
    deadline_s = time.monotonic() + timeout_s
    while True:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise OperationRefused(f"no answer within {timeout_s:g} s; ask again with the same request id")
        try:
            answer = await bus.request(subject, encode(ask), timeout_s=left_s)
        except (BusUnavailable, OutcomeUnknown):
            await asyncio.sleep(_AGAIN_S)
            continue
        try:
            told = decoder.decode(answer.data)
        except MalformedMessage:
            if answer.data.startswith(b'{"error":"standby'):
                await asyncio.sleep(_AGAIN_S)
                continue
            raise OperationRefused(answer.data.decode("utf-8", "replace")[:500]) from None
        if not _is_of_standby(told):
            return told
        await asyncio.sleep(_AGAIN_S)


def _is_of_standby(told: Wire) -> bool:
    # Its endpoints are in the leader's queue group; it did nothing, so the next try may reach the leader.
    if isinstance(told, ConfirmationV1):
        return told.error_message.startswith(_STANDBY)
    return isinstance(told, FlattenReportV1) and any(one.startswith(_STANDBY) for one in told.refused)


# For people -------------------------------------------------------------------------------------------


def told_order(ask: PlaceAskV1) -> str:
    """Return an order as a question for people."""
    verb = "buy" if ask.side is Side.BID else "sell"
    kind = "exit, immediate or cancel" if ask.mode is Purpose.EXIT else f"for up to {ask.max_wait_s:g} s"
    return (
        f"{verb} {format_qty(ask.qty_e2)} YES of {ask.market} at {format_price(ask.price_e4)} or better, "
        f"{kind}, account {ask.account}"
    )


def told_confirmation(told: ConfirmationV1) -> str:
    """Return a confirmation as lines for people."""
    lines = [
        f"{told.status.value}: {format_qty(told.filled_e2)} of {format_qty(told.asked_e2)}"
        + (f" at {format_price(told.average_price_e4)}" if told.average_price_e4 is not None else "")
        + f", fees {dollars(told.fees_e6)}, after {told.waited_ms / 1_000:.1f} s"
    ]
    if told.error_message:
        lines.append(f"  {told.error_message}")
    if told.slippage_limit_e6 is not None:
        mid = "unknown" if told.slippage_mid_e6 is None else dollars(told.slippage_mid_e6)
        lines.append(
            f"  slippage {mid} against the decision's middle, {dollars(told.slippage_limit_e6)} to the limit"
        )
    order_id = told.order.order_id if told.order is not None else ""
    lines.append(f"  request {told.request_id}, decision {told.decision_id or '-'}, order {order_id or '-'}")
    return "\n".join(lines)


def told_report(report: FlattenReportV1) -> str:
    """Return a flattening's report as lines for people."""
    would = "would " if report.is_dry_run else ""
    collar = f"account {report.account}: collar {format_price(report.collar_e4)}"
    lines = [f"{collar}, cost {dollars(report.cost_e6)} of at most {dollars(report.cost_e6_max)}"]
    lines += [f"  refused: {reason}" for reason in report.refused]
    for one in report.slices:
        verb = "buy" if one.side is Side.BID else "sell"
        price = format_price(one.price_e4)
        line = f"  {would}{verb} {format_qty(one.qty_e2)} {one.market} at {price} or better:"
        if one.confirmation is None:
            line += f" cost {dollars(one.expected_e6)}, at worst {dollars(one.worst_e6)}"
        else:
            line += f" {one.confirmation.status.value} {format_qty(one.confirmation.filled_e2)}"
            line += f", cost {dollars(one.cost_e6)}"
        lines.append(line)
    if report.stopped:
        lines.append(f"  stopped: {report.stopped}")
    lines += [f"  {would}leave {format_qty(one.qty_e2)} {one.market}: {one.reason}" for one in report.left]
    lines.append("flat" if report.is_flat else "not flat")
    return "\n".join(lines)


def dollars(cash_e6: int) -> str:
    """Return money in dollars and hundredths of a cent, rounded away from zero."""
    hundredths = -(-abs(cash_e6) // 100)
    return f"{'-' if cash_e6 < 0 else ''}{hundredths // 10_000}.{hundredths % 10_000:04d}"

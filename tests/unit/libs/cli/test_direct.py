"""Orders by hand: what is asked, how a lost or standby answer is asked for again, what people read."""

from __future__ import annotations

from typing import Any

import pytest

from libs.cli import direct
from libs.cli.operate import OperationRefused
from libs.common.bus.api import Message
from libs.common.bus.memory import MemoryBus
from libs.common.domain.side import Side
from libs.common.domain.units import MalformedNumber
from libs.common.env import Env
from libs.common.messages.base import Wire, encode
from libs.common.messages.execution import Purpose
from libs.common.messages.orders import (
    ConfirmationV1,
    ConfirmStatus,
    FlattenAskV1,
    FlattenLeftV1,
    FlattenReportV1,
    FlattenSliceV1,
    PlaceAskV1,
)
from libs.common.subjects import Subjects

SUBJECTS = Subjects(Env.SIM)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "_AGAIN_S", 0.01)


def an_ask(**changes: Any) -> PlaceAskV1:
    fields: dict[str, Any] = {
        "request_id": "r1",
        "account": "main",
        "market": "M-1",
        "side": Side.BID,
        "price_e4": 6_000,
        "qty_e2": 500,
        "by": "me",
        "reason": "test",
    }
    return PlaceAskV1(**(fields | changes))


def told(**changes: Any) -> ConfirmationV1:
    fields: dict[str, Any] = {
        "request_id": "r1",
        "decision_id": "run:M-1:ask-r1",
        "mode": Purpose.MANUAL,
        "status": ConfirmStatus.FILLED,
        "order": None,
        "error_message": "",
        "asked_e2": 500,
        "filled_e2": 500,
        "booked_e2": 500,
        "is_acceptable": True,
        "paid_e6": 2_950_000,
        "fees_e6": 84_001,
        "average_price_e4": 5_900,
        "decision_bid_e4": 5_800,
        "decision_ask_e4": 6_000,
        "slippage_mid_e6": 0,
        "slippage_limit_e6": -50_000,
        "waited_ms": 1_234,
        "polls": 0,
    }
    return ConfirmationV1(**(fields | changes))


def a_report(**changes: Any) -> FlattenReportV1:
    fields: dict[str, Any] = {
        "request_id": "f1",
        "account": "main",
        "is_dry_run": True,
        "is_flat": False,
        "refused": (),
        "stopped": "",
        "cancelled": 0,
        "is_verified": False,
        "slices": (),
        "left": (),
        "cost_e6": 0,
        "cost_e6_max": 1_000_000,
        "collar_e4": 300,
        "took_ms": 1,
    }
    return FlattenReportV1(**(fields | changes))


class Executor:
    """Answers one endpoint with these, one after the other."""

    def __init__(self, *answers: bytes | Wire) -> None:
        self.bus = MemoryBus()
        self.asked: list[bytes] = []
        self._answers = list(answers)

    async def __call__(self, message: Message) -> None:
        self.asked.append(message.data)
        answer = self._answers.pop(0)
        await self.bus.respond(message, encode(answer) if isinstance(answer, Wire) else answer)

    async def serve(self, endpoint: str) -> MemoryBus:
        await self.bus.serve("executor", {endpoint: self}, {})
        return self.bus.peer()


@pytest.mark.parametrize(
    ("action", "leg", "side", "price_e4"),
    [
        ("buy", "yes", Side.BID, 3_000),
        ("sell", "yes", Side.ASK, 3_000),
        ("buy", "no", Side.ASK, 7_000),
        ("sell", "no", Side.BID, 7_000),
    ],
)
def test_orders_on_the_no_leg_are_their_twins_on_the_yes_leg(
    action: str, leg: str, side: Side, price_e4: int
) -> None:
    assert direct.leg_to_yes(action, leg, 3_000) == (side, price_e4)


@pytest.mark.parametrize(("action", "leg"), [("hold", "yes"), ("buy", "maybe")])
def test_other_words_are_refused(action: str, leg: str) -> None:
    with pytest.raises(MalformedNumber):
        direct.leg_to_yes(action, leg, 3_000)


async def test_standby_is_asked_past_with_the_same_request() -> None:
    standby = told(status=ConfirmStatus.ERROR, error_message="standby: this process does not lead")
    executor = Executor(standby, standby, told())
    answer = await direct.place(await executor.serve("place"), SUBJECTS, an_ask())
    assert answer.status is ConfirmStatus.FILLED
    assert len(set(executor.asked)) == 1


async def test_standby_that_knows_no_orders_is_asked_past_too() -> None:
    executor = Executor(b'{"error":"standby: no"}', b'{"confirmations":[]}')
    with pytest.raises(OperationRefused, match="confirmations"):
        await direct.confirm(await executor.serve("confirm"), SUBJECTS, ("r1",), 1)


async def test_nobody_there_is_waited_for_and_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "_MARGIN_S", 0.05)
    with pytest.raises(OperationRefused, match="same request id"):
        await direct.place(MemoryBus(), SUBJECTS, an_ask(max_wait_s=0.05))


async def test_refusal_of_a_flattening_is_an_answer_and_a_standby_is_none() -> None:
    ask = FlattenAskV1(request_id="f1", account="main", by="me", reason="test")
    executor = Executor(a_report(refused=("standby: no",)), a_report(refused=("not enabled",)))
    answer = await direct.flatten(await executor.serve("flatten"), SUBJECTS, ask)
    assert answer.refused == ("not enabled",)


async def test_account_is_the_executors_own_word() -> None:
    executor = Executor(b'{"account":"main","positions":{}}')
    assert await direct.account_of(await executor.serve("positions"), SUBJECTS) == "main"


def test_people_read_what_will_be_asked() -> None:
    assert direct.told_order(an_ask()) == (
        "buy 5.00 YES of M-1 at 0.6000 or better, for up to 60 s, account main"
    )
    assert "sell" in direct.told_order(an_ask(side=Side.ASK, mode=Purpose.EXIT))


def test_people_read_what_became_of_it() -> None:
    text = direct.told_confirmation(told())
    assert text.startswith("filled: 5.00 of 5.00 at 0.5900, fees 0.0841, after 1.2 s")
    assert "-0.0500 to the limit" in text
    assert "request r1, decision run:M-1:ask-r1, order -" in text
    refused = told(status=ConfirmStatus.ERROR, error_message="gate: halted", slippage_limit_e6=None)
    assert "gate: halted" in direct.told_confirmation(refused)


def test_people_read_what_a_flattening_would_do_and_what_it_leaves() -> None:
    planned = FlattenSliceV1(
        market="M-1",
        side=Side.ASK,
        price_e4=5_700,
        qty_e2=300,
        reference_e4=6_000.0,
        expected_e6=50_000,
        worst_e6=140_000,
    )
    text = direct.told_report(
        a_report(slices=(planned,), left=(FlattenLeftV1(market="M-2", qty_e2=-200, reason="no bid"),))
    )
    assert "would sell 3.00 M-1 at 0.5700 or better: cost 0.0500, at worst 0.1400" in text
    assert "would leave -2.00 M-2: no bid" in text
    done = FlattenSliceV1(
        **{f: getattr(planned, f) for f in planned.__struct_fields__} | {"confirmation": told()}
    )
    assert "filled 5.00, cost" in direct.told_report(
        a_report(slices=(done,), is_dry_run=False, is_flat=True, stopped="cost cap")
    )


@pytest.mark.parametrize(
    ("cash_e6", "text"), [(0, "0.0000"), (1, "0.0001"), (-1, "-0.0001"), (12_345_678, "12.3457")]
)
def test_money_is_rounded_away_from_zero(cash_e6: int, text: str) -> None:
    assert direct.dollars(cash_e6) == text

"""The size factor of the permits, as planning applies it: quotes shrink, exits and orders by hand do not."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.control import PermitV1
from services.executor.core.requests import CreateRequest
from tests.support.executor_builders import BOTH, Desk, a_desk, a_quote, batches, cancels


def grant(desk: Desk, scale_e4: int, counter: int) -> None:
    permit = PermitV1(
        issuer="risk", boot="ramp", counter=counter, account="main", is_open=True, epoch=1, scale_e4=scale_e4
    )
    desk.engine.on_permit("risk", permit, desk.now)


def sizes(effects: list[Any]) -> list[int]:
    return sorted(
        one.request.qty_e2
        for batch in batches(effects)
        for one in batch.creates
        if isinstance(one.request, CreateRequest)
    )


@pytest.mark.parametrize(
    ("scale_e4", "wanted_e2", "sent"),
    [
        (1_000, 2_000, [200, 200]),
        (1_000, 500, []),
        (5_000, 500, [200, 200]),
        (5_000, 450, [225, 225]),
        (10_000, 500, [500, 500]),
        (0, 10_000, []),
    ],
)
def test_quotes_leave_in_the_size_that_is_granted(scale_e4: int, wanted_e2: int, sent: list[int]) -> None:
    desk = a_desk()
    grant(desk, scale_e4, 1)
    quotes = (a_quote(Side.BID, 4_800, wanted_e2), a_quote(Side.ASK, 5_200, wanted_e2))
    assert sizes(desk.quote(*quotes)) == sent
    if not sent:
        assert desk.engine.account.held[Reason.SIZE_RAMP.value] == 2, "no silence without a reason"


def test_smallest_permit_counts() -> None:
    desk = a_desk()
    grant(desk, 5_000, 1)
    assert desk.engine.account.gate.scale_e4 == 5_000
    grant(desk, 10_000, 2)
    assert desk.engine.account.gate.scale_e4 == 10_000


def test_factor_that_falls_takes_from_what_rests_and_one_that_rises_gives_back() -> None:
    desk = a_desk()
    desk.accept_all(desk.quote(*BOTH))
    grant(desk, 5_000, 1)
    (batch,) = batches(desk.engine.run_pass(desk.later(0.01)))
    assert [one.remaining_e2 for one in batch.decreases] == [200, 200]
    assert cancels([batch]) == []
    other = a_desk()
    other.accept_all(other.quote(*BOTH))
    grant(other, 5_000, 1)
    grant(other, 10_000, 2)
    assert batches(other.engine.run_pass(other.later(0.01))) == [], "nothing to do"


def test_without_any_permit_nothing_that_rests_is_made_smaller() -> None:
    desk = a_desk()
    desk.engine.account.gate._permits.clear()
    assert desk.engine.account.gate.scale_e4 == 10_000

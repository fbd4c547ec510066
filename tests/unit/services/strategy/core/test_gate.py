from __future__ import annotations

from typing import Any

import pytest

from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.market import MarketState
from libs.common.messages.target import TargetV1
from services.strategy.core.pipeline import decide
from tests.support.market_builders import NOW_MS, book, position
from tests.support.strategy_builders import plan


def _reasons(target: TargetV1) -> dict[Side, str]:
    return {silence.side: silence.reason for silence in target.silences}


@pytest.mark.parametrize(
    ("reason", "seen", "held", "settings"),
    [
        (Reason.MARKET_DISABLED, {}, {}, {"enabled": False}),
        (Reason.OWN_STATE_UNKNOWN, {}, {"has_unknown": True}, {}),
        (Reason.MARKET_NOT_ACTIVE, {}, {"is_settled": True}, {}),
        (Reason.STALE_BOOK, {"is_stale": True}, {}, {}),
        (Reason.STALE_BOOK, {"as_of_ms": 0}, {}, {}),
        (Reason.MARKET_NOT_ACTIVE, {"state": MarketState.INACTIVE}, {}, {}),
        (Reason.MARKET_NOT_ACTIVE, {"state": MarketState.UNKNOWN}, {}, {}),
        (Reason.TRADING_PAUSED, {"trading_active": False}, {}, {}),
        (Reason.CLOSING_SOON, {"close_ms": NOW_MS + 5_000}, {}, {}),
        (Reason.CLOSING_SOON, {"close_ms": NOW_MS - 1}, {}, {}),
        (Reason.EMPTY_BOOK, {"bids": ()}, {}, {}),
        (Reason.EMPTY_BOOK, {"asks": ()}, {}, {}),
        (Reason.CROSSED_BOOK, {"bids": ((5_100, 100),)}, {}, {}),
        (Reason.SPREAD_TOO_NARROW, {}, {}, {"min_spread_e4": 201}),
    ],
)
def test_both_sides_are_silent_with_the_reason(
    reason: Reason, seen: dict[str, Any], held: dict[str, Any], settings: dict[str, Any]
) -> None:
    target = decide(book(**seen), position(**held), plan(**settings))
    assert target.quotes == ()
    assert _reasons(target) == {Side.BID: reason, Side.ASK: reason}


def test_nothing_is_quoted_before_trading_is_enabled() -> None:
    target = decide(book(), position(), plan(trading_enabled=False))
    assert _reasons(target) == {Side.BID: Reason.TRADING_DISABLED, Side.ASK: Reason.TRADING_DISABLED}


def test_nothing_is_quoted_before_the_position_is_known() -> None:
    target = decide(book(), None, plan())
    assert _reasons(target) == {Side.BID: Reason.NO_POSITION, Side.ASK: Reason.NO_POSITION}


def test_one_side_may_be_disabled_alone() -> None:
    target = decide(book(), position(), plan(ask_enabled=False))
    assert [quote.side for quote in target.quotes] == [Side.BID]
    assert _reasons(target) == {Side.ASK: Reason.SIDE_DISABLED}


def test_a_spread_of_exactly_the_minimum_is_quoted() -> None:
    assert len(decide(book(), position(), plan(min_spread_e4=200)).quotes) == 2


def test_our_own_orders_are_taken_out_of_the_book() -> None:
    """Alone at the touch we would otherwise chase ourselves."""
    seen = book(((5_000, 1_000), (4_900, 10_000)), ((5_100, 10_000),))
    mine = position(resting=((Side.BID, 5_000, 1_000),))
    without = decide(book(), position(), plan())
    assert decide(seen, mine, plan()).quotes == without.quotes
    shared = decide(seen, position(resting=((Side.BID, 5_000, 400),)), plan())
    assert shared.fair_e4 != without.fair_e4


def test_a_book_of_nobody_else_is_empty() -> None:
    seen = book(((5_000, 1_000),), ((5_100, 10_000),))
    target = decide(seen, position(resting=((Side.BID, 5_000, 1_000),)), plan())
    assert _reasons(target) == {Side.BID: Reason.EMPTY_BOOK, Side.ASK: Reason.EMPTY_BOOK}


def test_own_quantity_that_is_not_displayed_yet_does_not_reach_beyond_its_price() -> None:
    seen = book(((4_900, 10_000),), ((5_100, 10_000),))
    mine = position(resting=((Side.BID, 4_900, 20_000),))
    assert _reasons(decide(seen, mine, plan()))[Side.BID] == Reason.EMPTY_BOOK
    deeper = position(resting=((Side.BID, 4_700, 20_000),))
    assert len(decide(seen, deeper, plan()).quotes) == 2

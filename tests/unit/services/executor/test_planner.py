"""The planner moves one market with the fewest and safest requests."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.execution import Action, OrderState
from services.executor.core.orders import OwnOrder
from services.executor.core.planner import MarketNow, Plan, PlanRules, ReplaceWith, plan
from tests.support.executor_builders import START_MS, a_quote, an_order

EXACT = PlanRules(hysteresis_ticks=0)


def market_now(**changes: Any) -> MarketNow:
    fields: dict[str, Any] = {
        "market": "M-1",
        "grid": grid_of_steps((0, 10_000, 100)),
        "bid_e4": 4_700,
        "ask_e4": 5_300,
        "is_open": True,
        "now_ms": START_MS,
    }
    return MarketNow(**(fields | changes))


def kinds(result: Plan) -> list[Action]:
    return [act.action for act in result.acts]


def reasons(result: Plan) -> set[Reason]:
    return {held.reason for held in result.held}


def test_planner_creates_what_is_missing() -> None:
    result = plan([a_quote(), a_quote(Side.ASK, 5_200)], [], market_now(), EXACT)
    assert kinds(result) == [Action.CREATE, Action.CREATE]


def test_planner_keeps_what_is_right() -> None:
    result = plan([a_quote()], [an_order()], market_now(), EXACT)
    assert kinds(result) == []
    assert reasons(result) == {Reason.WITHIN_TOLERANCE}


def test_planner_cancels_what_is_not_wanted() -> None:
    assert kinds(plan([], [an_order()], market_now(), EXACT)) == [Action.CANCEL]


@pytest.mark.parametrize("state", [OrderState.SENT, OrderState.CANCEL_PENDING, OrderState.AMEND_PENDING])
def test_planner_waits_for_an_unanswered_request_before_acting(state: OrderState) -> None:
    result = plan([a_quote(price_e4=4_900)], [an_order(state=state)], market_now(), EXACT)
    assert kinds(result) == []
    assert reasons(result) == {Reason.REQUEST_IN_FLIGHT}


def test_planner_decreases_where_only_size_falls_and_never_cancels() -> None:
    result = plan([a_quote(qty_e2=200)], [an_order()], market_now(), EXACT)
    assert kinds(result) == [Action.DECREASE]
    assert result.acts[0].qty_e2 == 200


def test_planner_amends_a_moved_quote_that_stays_clear_of_the_touch() -> None:
    result = plan([a_quote(price_e4=5_000)], [an_order()], market_now(), EXACT)
    assert [(act.action, act.price_e4) for act in result.acts] == [(Action.AMEND, 5_000)]


@pytest.mark.parametrize("ask_e4", [5_100, None])
def test_planner_replaces_where_an_amend_could_meet_the_touch(ask_e4: int | None) -> None:
    order = an_order()
    result = plan([a_quote(price_e4=5_000)], [order], market_now(ask_e4=ask_e4), EXACT)
    assert kinds(result) == [Action.CANCEL, Action.CREATE]
    assert result.acts[1].behind == (order,)


def test_planner_configured_to_cancel_never_amends_a_price() -> None:
    rules = PlanRules(hysteresis_ticks=0, replace_with=ReplaceWith.CANCEL_CREATE)
    result = plan([a_quote(price_e4=5_000)], [an_order()], market_now(), rules)
    assert kinds(result) == [Action.CANCEL, Action.CREATE]


def test_planner_takes_prices_within_half_a_tick_as_equal() -> None:
    assert kinds(plan([a_quote(price_e4=4_849)], [an_order()], market_now(), EXACT)) == []


def test_quote_that_gives_more_than_wanted_moves_at_once_and_one_that_gives_less_may_stay() -> None:
    patient = PlanRules(hysteresis_ticks=1)
    assert kinds(plan([a_quote(price_e4=4_900)], [an_order()], market_now(), patient)) == []
    assert kinds(plan([a_quote(price_e4=4_700)], [an_order()], market_now(), patient)) == [Action.AMEND]


def test_market_with_an_unknown_order_gets_no_create_and_no_amend() -> None:
    lost = an_order(client_order_id="lost", order_id="", state=OrderState.UNKNOWN)
    ask = an_order(client_order_id="ask", order_id="v2", side=Side.ASK, price_e4=5_200)
    result = plan([a_quote(), a_quote(Side.ASK, 5_400)], [lost, ask], market_now(), EXACT)
    assert kinds(result) == [Action.CANCEL]
    assert Reason.MARKET_QUARANTINED in reasons(result)


def test_planner_renews_an_order_before_it_expires_without_changing_it() -> None:
    order = an_order(expires_ms=START_MS + 5_000, filled_e2=100, state=OrderState.PARTLY_FILLED)
    result = plan([a_quote(qty_e2=400)], [order], market_now(), EXACT)
    assert [(a.action, a.price_e4, a.qty_e2, a.why) for a in result.acts] == [
        (Action.AMEND, 4_800, 400, "renew")
    ]


def test_planner_orders_cancels_before_decreases_before_amends_before_creates() -> None:
    live = [
        an_order(client_order_id="a", order_id="a", price_e4=4_500),
        an_order(client_order_id="b", order_id="b", price_e4=4_600),
        an_order(client_order_id="c", order_id="c", side=Side.ASK, price_e4=5_500),
    ]
    wanted = [a_quote(price_e4=4_600, qty_e2=100), a_quote(Side.ASK, 5_600), a_quote(Side.ASK, 5_700)]
    result = plan(wanted, live, market_now(), EXACT)
    assert kinds(result) == [Action.CANCEL, Action.DECREASE, Action.AMEND, Action.CREATE]


def test_planner_never_lets_own_orders_meet() -> None:
    ask = an_order(side=Side.ASK, price_e4=4_900, state=OrderState.CANCEL_PENDING)
    result = plan([a_quote(price_e4=4_900)], [ask], market_now(), EXACT)
    assert Action.CREATE not in kinds(result)
    assert Reason.CANCEL_FIRST in reasons(result)


def test_closed_market_gets_no_request_at_all() -> None:
    result = plan([], [an_order()], market_now(is_open=False), EXACT)
    assert kinds(result) == []
    assert reasons(result) == {Reason.MARKET_NOT_ACTIVE}


def test_unknown_grid_lets_only_cancels_and_decreases_through() -> None:
    now = market_now(grid=None)
    assert kinds(plan([a_quote()], [], now, EXACT)) == []
    assert kinds(plan([], [an_order()], now, EXACT)) == [Action.CANCEL]


def test_ladder_that_shifts_by_a_level_keeps_its_other_levels() -> None:
    live: list[OwnOrder] = [
        an_order(client_order_id=str(price), order_id=str(price), price_e4=price)
        for price in (4_500, 4_600, 4_700)
    ]
    wanted = [a_quote(price_e4=price) for price in (4_400, 4_500, 4_600)]
    result = plan(wanted, live, market_now(), EXACT)
    assert [(act.order.price_e4 if act.order else 0, act.price_e4) for act in result.acts] == [(4_700, 4_400)]

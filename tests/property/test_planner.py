"""The planner on any world: converges in one pass, crosses nothing of its own, cancels no mere shrinkage."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from libs.common.messages.execution import Action, OrderState
from libs.common.messages.target import QuoteV1
from services.executor.core.orders import OwnOrder
from services.executor.core.planner import MarketNow, Plan, PlanRules, ReplaceWith, plan
from tests.support.executor_builders import START_MS, an_order

NOW = MarketNow("M-1", grid_of_steps((0, 10_000, 100)), 4_500, 5_500, is_open=True, now_ms=START_MS)
_NUMBERS = itertools.count()
SETTLED = (OrderState.RESTING, OrderState.PARTLY_FILLED)

prices = st.integers(40, 60).map(lambda tick: tick * 100)
rules = st.builds(
    PlanRules,
    hysteresis_ticks=st.integers(0, 2),
    hysteresis_e2=st.just(0),
    replace_with=st.sampled_from(ReplaceWith),
)


@st.composite
def wanted_quotes(draw: st.DrawFn) -> list[QuoteV1]:
    """Return quotes that do not cross one another, at most one at a price."""
    middle = draw(st.integers(42, 58))
    quotes = []
    for side, ticks in ((Side.BID, range(40, middle)), (Side.ASK, range(middle, 61))):
        chosen = draw(st.lists(st.sampled_from(ticks), max_size=3, unique=True))
        quotes += [
            QuoteV1(side=side, price_e4=tick * 100, qty_e2=draw(st.integers(1, 900))) for tick in chosen
        ]
    return quotes


@st.composite
def live_orders(draw: st.DrawFn, states: tuple[OrderState, ...] = tuple(OrderState)[:8]) -> list[OwnOrder]:
    """Return orders that do not cross one another, at most one at a price."""
    orders = []
    for number, quote in enumerate(draw(wanted_quotes())):
        filled = draw(st.integers(0, quote.qty_e2 - 1))
        orders.append(
            an_order(
                client_order_id=f"o{number}",
                order_id=f"v{number}",
                side=quote.side,
                price_e4=quote.price_e4,
                total_e2=quote.qty_e2,
                filled_e2=filled,
                state=draw(st.sampled_from(states)),
            )
        )
    return orders


def outcome(live: list[OwnOrder], result: Plan) -> list[OwnOrder]:
    """Return the orders once every action has been accepted."""
    left = {order.client_order_id: order for order in live}
    for act in result.acts:
        if act.order is None:
            name = f"n{next(_NUMBERS)}"
            created = an_order(
                client_order_id=name,
                order_id=name,
                side=act.side,
                price_e4=act.price_e4,
                total_e2=act.qty_e2,
            )
            left[created.client_order_id] = created
        elif act.action is Action.CANCEL:
            del left[act.order.client_order_id]
        else:
            act.order.price_e4 = act.price_e4
            act.order.total_e2 = act.order.filled_e2 + act.qty_e2
            act.order.expires_ms = START_MS + 60_000
    return list(left.values())


@given(wanted=wanted_quotes(), live=live_orders(), with_rules=rules)
def test_side_with_a_request_in_flight_is_never_touched(
    wanted: list[QuoteV1], live: list[OwnOrder], with_rules: PlanRules
) -> None:
    flying = {order.side for order in live if order.is_in_flight}
    assert not [act for act in plan(wanted, live, NOW, with_rules).acts if act.side in flying]


@given(wanted=wanted_quotes(), live=live_orders(), with_rules=rules)
def test_quarantined_market_gets_no_create_and_no_amend(
    wanted: list[QuoteV1], live: list[OwnOrder], with_rules: PlanRules
) -> None:
    if any(order.is_unknown for order in live):
        assert not plan(wanted, live, NOW, with_rules).of(Action.CREATE, Action.AMEND)


@given(wanted=wanted_quotes(), live=live_orders(), with_rules=rules)
def test_no_order_is_acted_on_twice_and_cancels_come_first(
    wanted: list[QuoteV1], live: list[OwnOrder], with_rules: PlanRules
) -> None:
    acts = plan(wanted, live, NOW, with_rules).acts
    touched = [act.order.client_order_id for act in acts if act.order is not None]
    assert len(touched) == len(set(touched))
    rank = [Action.CANCEL, Action.DECREASE, Action.AMEND, Action.CREATE]
    assert [rank.index(act.action) for act in acts] == sorted(rank.index(act.action) for act in acts)


@settings(max_examples=1_000)
@given(
    wanted=wanted_quotes(),
    live=st.one_of(live_orders(), live_orders(SETTLED)),
    with_rules=rules,
    fate=st.data(),
)
def test_own_orders_never_meet_whatever_subset_of_actions_succeeds(
    wanted: list[QuoteV1], live: list[OwnOrder], with_rules: PlanRules, fate: st.DataObject
) -> None:
    """A create behind cancels leaves only where they were done; that much the sender is trusted with."""
    acts = plan(wanted, live, NOW, with_rules).acts
    fates = fate.draw(st.lists(st.booleans(), min_size=len(acts), max_size=len(acts)))
    done = [act for act, is_done in zip(acts, fates, strict=True) if is_done]
    gone = {act.order.client_order_id for act in done if act.action is Action.CANCEL and act.order}
    leaving = [
        act
        for act in done
        if act.action in (Action.CREATE, Action.AMEND)
        and all(order.client_order_id in gone for order in act.behind)
    ]
    # An order that is cancelled rests until it is; one that must be gone first is gone by then.
    after = [(act.side, act.price_e4) for act in leaving]
    waited = {order.client_order_id for act in leaving for order in act.behind}
    before = [
        (order.side, order.price_e4)
        for order in live
        if order.open_e2 and order.client_order_id not in waited
    ]
    for side, price in after:
        others = [p for s, p in before + after if s is side.opposite]
        assert all((price - other) * side.sign < 0 for other in others)


@settings(max_examples=1_000)
@given(wanted=wanted_quotes(), live=live_orders(SETTLED), with_rules=rules)
def test_planner_comes_to_rest_on_a_frozen_world(
    wanted: list[QuoteV1], live: list[OwnOrder], with_rules: PlanRules
) -> None:
    """One pass is enough, also for what has to be cancelled first and for a side that has to make way."""
    live = outcome(live, plan(wanted, live, NOW, with_rules))
    assert plan(wanted, live, NOW, with_rules).acts == []
    for quote in wanted:
        near = [
            order
            for order in live
            if order.side is quote.side
            and 0 <= (quote.price_e4 - order.price_e4) * quote.side.sign <= with_rules.hysteresis_ticks * 100
        ]
        assert near, f"nothing for {quote}"


@given(live=live_orders(SETTLED), with_rules=rules, fate=st.data())
def test_size_that_only_falls_is_never_cancelled(
    live: list[OwnOrder], with_rules: PlanRules, fate: st.DataObject
) -> None:
    wanted = [
        QuoteV1(
            side=order.side,
            price_e4=order.price_e4,
            qty_e2=fate.draw(st.integers(1, order.remaining_e2)),
        )
        for order in live
        if order.remaining_e2
    ]
    result = plan(wanted, live, NOW, with_rules)
    assert {act.action for act in result.acts} <= {Action.DECREASE}

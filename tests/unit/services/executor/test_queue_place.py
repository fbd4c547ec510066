"""A place in the queue is reckoned from the touch, corrected by the venue, and weighed before a move."""

from __future__ import annotations

from typing import Any

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.execution import Action, OrderState
from services.executor.core.planner import MarketNow, PlanRules, plan
from services.executor.core.queue_place import QueuePlaces
from tests.support.executor_builders import START_MS, a_quote, a_top, an_order

S = 1_000_000_000
RULES = PlanRules(hysteresis_ticks=0, place_value_e4=10, token_price_e6=100)


def ahead(places: QueuePlaces, *orders: Any) -> list[int]:
    return list(places.of(orders).values())


def test_order_that_joins_the_touch_has_what_rests_there_before_it() -> None:
    places, order = QueuePlaces(), an_order(price_e4=4_700)
    places.look([order], a_top(bid_e2=1_500))
    assert ahead(places, order) == [1_000], "the level less our own"


def test_place_only_falls_while_price_and_size_stay() -> None:
    places, order = QueuePlaces(), an_order(price_e4=4_700)
    for bid_e2 in (1_500, 900, 3_000):
        places.look([order], a_top(bid_e2=bid_e2))
    assert ahead(places, order) == [400]


def test_place_is_lost_with_another_price_or_a_larger_size_and_kept_by_a_smaller_one() -> None:
    for change, left in (({"price_e4": 4_600}, []), ({"total_e2": 600}, []), ({"total_e2": 300}, [1_000])):
        places, order = QueuePlaces(), an_order(price_e4=4_700)
        places.look([order], a_top(bid_e2=1_500))
        for name, value in change.items():
            setattr(order, name, value)
        assert ahead(places, order) == left


def test_order_behind_the_touch_or_in_flight_has_no_known_place() -> None:
    places = QueuePlaces()
    deep, flying = an_order(price_e4=4_600), an_order(client_order_id="b", state=OrderState.AMEND_PENDING)
    places.look([deep, flying], a_top())
    assert ahead(places, deep, flying) == []


def test_venues_word_replaces_ours_unless_something_was_asked_since() -> None:
    places, order = QueuePlaces(), an_order(price_e4=4_700, answered_ns=10 * S)
    places.on_read([order], {"venue-1": 70}, 10 * S, S)
    assert ahead(places, order) == []
    places.on_read([order], {"venue-1": 70}, 12 * S, S)
    assert ahead(places, order) == [70]
    places.keep([])
    assert ahead(places, order) == []


def market_now(**changes: Any) -> MarketNow:
    fields: dict[str, Any] = {
        "market": "M-1",
        "grid": grid_of_steps((0, 10_000, 100)),
        "bid_e4": 4_800,
        "ask_e4": 5_300,
        "is_open": True,
        "now_ms": START_MS,
        "bid_e2": 9_000,
        "ask_e2": 100,
    }
    return MarketNow(**(fields | changes))


def outcome(order_e2: int = 500, **changes: Any) -> tuple[list[Action], set[Reason]]:
    order = an_order(price_e4=4_700, total_e2=order_e2, initial_e2=order_e2)
    result = plan([a_quote(price_e4=4_800, qty_e2=order_e2)], [order], market_now(**changes), RULES)
    return [act.action for act in result.acts], {held.reason for held in result.held}


def test_good_place_is_kept_for_less_than_it_is_worth() -> None:
    """First in our level; the new one has 90 contracts before us, worth 9 cents against 5 gained."""
    client = an_order().client_order_id
    acts, reasons = outcome(ahead_e2={client: 0})
    assert acts == []
    assert Reason.QUEUE_KEPT in reasons


def test_place_is_given_up_for_more_than_it_is_worth() -> None:
    client = an_order().client_order_id
    assert outcome(1_000, ahead_e2={client: 0})[0] == [Action.AMEND]
    assert outcome(ahead_e2={client: 8_000})[0] == [Action.AMEND], "our place here is no better"
    assert outcome(ahead_e2={client: 0}, bid_e4=4_700)[0] == [Action.AMEND], "a better price has no queue"


def test_unknown_place_leaves_it_to_hysteresis() -> None:
    assert outcome()[0] == [Action.AMEND]


def test_quote_that_gives_more_than_wanted_moves_whatever_its_place() -> None:
    order = an_order(price_e4=4_800)
    now = market_now(ahead_e2={order.client_order_id: 0})
    acts = plan([a_quote(price_e4=4_700)], [order], now, RULES).acts
    assert [act.action for act in acts] == [Action.AMEND]


def test_kept_quote_still_shrinks_and_is_renewed() -> None:
    order = an_order(price_e4=4_700)
    now = market_now(ahead_e2={order.client_order_id: 0})
    acts = plan([a_quote(price_e4=4_800, qty_e2=200)], [order], now, RULES).acts
    assert [(act.action, act.price_e4) for act in acts] == [(Action.DECREASE, 4_700)]
    assert order.side is Side.BID

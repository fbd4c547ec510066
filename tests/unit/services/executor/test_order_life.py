"""The transition table, and what the book of orders makes of late and repeated evidence."""

from __future__ import annotations

import itertools

import pytest

from libs.common.messages.execution import OrderState as S
from services.executor.core.order_life import TERMINAL, TRANSITIONS, Evidence, step
from services.executor.core.orders import OwnOrders
from tests.support.executor_builders import an_order

E = Evidence


def test_every_state_can_reach_an_end() -> None:
    reach = {state: {to for (of, _), to in TRANSITIONS.items() if of is state} for state in S}
    for state in S:
        seen, edge = {state}, {state}
        while edge:
            edge = set().union(*(reach[one] for one in edge)) - seen
            seen |= edge
        assert seen & TERMINAL, state


def test_only_the_venue_itself_wakes_an_ended_order() -> None:
    ours = {E.INTENDED, E.SENT, E.UNSENT, E.UNANSWERED, E.CANCEL_SENT, E.AMEND_SENT, E.ABSENT, E.SEEN_RESTING}
    for state, evidence in itertools.product((S.EXECUTED, S.CANCELLED), ours):
        assert step(state, evidence) is state


def test_late_feed_message_does_not_wake_a_cancelled_order() -> None:
    assert step(S.CANCELLED, E.SEEN_RESTING) is S.CANCELLED
    assert step(S.CANCELLED, E.LISTED_RESTING) is S.RESTING


def test_unknown_order_never_ends_by_our_own_conclusion() -> None:
    enders = {e for e in E if step(S.UNKNOWN, e) in TERMINAL}
    assert enders == {
        E.FILLED_WHOLE,
        E.SEEN_EXECUTED,
        E.SEEN_CANCELLED,
        E.ACCEPTED_FILLED,
        E.ACCEPTED_KILLED,
        E.CANCEL_ACCEPTED,
        E.ABSENT,
    }


def test_fill_proves_that_a_refused_order_lives() -> None:
    orders = OwnOrders()
    order = an_order(state=S.REFUSED, order_id="")
    orders.add(order)
    orders.apply(order, E.FILLED, 1, filled_e2=100)
    assert order.state is S.PARTLY_FILLED
    assert orders.revived == 1


def test_filled_count_never_falls() -> None:
    orders = OwnOrders()
    order = an_order()
    orders.add(order)
    orders.apply(order, E.FILLED, 1, filled_e2=300)
    orders.apply(order, E.SEEN_RESTING, 2, filled_e2=100)
    assert order.filled_e2 == 300
    assert order.remaining_e2 == 200


def test_amend_without_answer_counts_at_its_worst() -> None:
    orders = OwnOrders()
    order = an_order(pending_price_e4=5_000, pending_total_e2=900)
    orders.add(order)
    orders.apply(order, E.AMEND_SENT, 1)
    (opened,) = orders.opened(order.market)
    assert (opened.price_e4, opened.qty_e2) == (5_000, 900)
    orders.apply(order, E.AMEND_UNANSWERED, 2)
    (opened,) = orders.opened(order.market)
    assert (opened.price_e4, opened.qty_e2) == (5_000, 900)


def test_fill_told_but_not_booked_stays_in_the_worst_case_after_the_order_ended() -> None:
    orders = OwnOrders()
    order = an_order()
    orders.add(order)
    orders.apply(order, E.SEEN_EXECUTED, 1, filled_e2=500)
    assert [one.qty_e2 for one in orders.opened(order.market)] == [500]
    order.booked_e2 = 500
    assert orders.opened(order.market) == []


def test_second_venue_id_for_one_order_is_not_taken() -> None:
    orders = OwnOrders()
    order = an_order(order_id="")
    orders.add(order)
    assert orders.name(order, "v1")
    assert not orders.name(order, "v2")
    assert orders.by_order("v1") is order


def test_order_filled_to_its_old_total_lives_while_a_larger_one_is_asked_for() -> None:
    orders = OwnOrders()
    order = an_order(pending_total_e2=900)
    orders.add(order)
    orders.apply(order, E.AMEND_SENT, 1)
    orders.apply(order, E.FILLED, 2, filled_e2=500)
    order.booked_e2 = 500
    assert order.is_live
    assert [one.qty_e2 for one in orders.opened(order.market)] == [400]
    orders.apply(order, E.AMEND_ACCEPTED, 3, total_e2=900)
    assert (order.state, order.remaining_e2) == (S.PARTLY_FILLED, 400)


@pytest.mark.parametrize("evidence", [E.AMEND_UNANSWERED, E.CANCEL_SENT])
def test_order_filled_to_its_old_total_counts_at_its_worst_while_the_amend_is_open(
    evidence: Evidence,
) -> None:
    orders = OwnOrders()
    order = an_order(pending_total_e2=900)
    orders.add(order)
    orders.apply(order, E.AMEND_SENT, 1)
    orders.apply(order, evidence, 2)
    orders.apply(order, E.FILLED, 3, filled_e2=500)
    order.booked_e2 = 500
    assert [one.qty_e2 for one in orders.opened(order.market)] == [400]


def test_order_filled_to_its_total_ends_once_the_amend_is_refused() -> None:
    orders = OwnOrders()
    order = an_order(pending_total_e2=900)
    orders.add(order)
    orders.apply(order, E.AMEND_SENT, 1)
    orders.apply(order, E.FILLED, 2, filled_e2=500)
    orders.apply(order, E.AMEND_REFUSED, 3)
    assert order.state is S.EXECUTED


def test_order_filled_to_the_larger_total_has_ended_whatever_becomes_of_the_amend() -> None:
    orders = OwnOrders()
    order = an_order(pending_total_e2=900)
    orders.add(order)
    orders.apply(order, E.AMEND_SENT, 1)
    orders.apply(order, E.FILLED, 2, filled_e2=900)
    assert order.state is S.EXECUTED

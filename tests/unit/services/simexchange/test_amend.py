"""Changing resting orders: what keeps its place and what loses it (kalshi-api 13.2, 13.3)."""

from __future__ import annotations

import pytest

from libs.common.domain.side import Side
from services.simexchange.core.orders import Order, OrderStatus
from services.simexchange.core.requests import (
    AmendRequest,
    DecreaseRequest,
    OrderRef,
    Placed,
    Reduced,
    Rejection,
)
from tests.support.venue_core import MARKET, NS_PER_S, Pit, code


@pytest.fixture
def pit() -> Pit:
    return Pit()


def amend(pit: Pit, order: Order, **changes: object) -> Placed | Rejection:
    facts: dict[str, object] = {
        "ref": OrderRef(order.order_id, order.market),
        "side": order.side,
        "price_e4": order.price_e4,
        "total_e2": order.initial_e2,
    }
    return pit.venue.amend(order.account, AmendRequest(**(facts | changes)), pit.now_ns)  # type: ignore[arg-type]


def decrease(
    pit: Pit, order: Order, by_e2: int | None = None, to_e2: int | None = None
) -> Reduced | Rejection:
    request = DecreaseRequest(OrderRef(order.order_id, order.market), by_e2, to_e2)
    return pit.venue.decrease(order.account, request, pit.now_ns)


def test_decrease_keeps_the_place_in_the_queue(pit: Pit) -> None:
    first, second = pit.bid("alice", 4700, 300), pit.bid("bob", 4700, 300)

    answer = decrease(pit, first, by_e2=100)

    assert isinstance(answer, Reduced)
    assert (answer.remaining_e2, pit.market.book.ahead_of(first), pit.market.book.ahead_of(second)) == (
        200,
        0,
        200,
    )


@pytest.mark.parametrize(("by_e2", "to_e2"), [(300, None), (999, None), (None, 0)])
def test_decrease_to_nothing_is_a_cancel(pit: Pit, by_e2: int | None, to_e2: int | None) -> None:
    order = pit.bid("alice", 4700, 300)

    decrease(pit, order, by_e2, to_e2)

    assert order.status is OrderStatus.CANCELED
    assert pit.market.book.best(Side.BID) is None


def test_decrease_wants_exactly_one_of_its_two_fields_and_never_grows(pit: Pit) -> None:
    order = pit.bid("alice", 4700, 300)

    assert code(decrease(pit, order)) == "invalid_parameters"
    assert code(decrease(pit, order, 100, 100)) == "invalid_parameters"
    assert code(decrease(pit, order, to_e2=301)) == "invalid_order_size"
    assert order.remaining_e2 == 300


def test_amend_to_a_smaller_total_keeps_the_place_and_counts_what_was_filled(pit: Pit) -> None:
    order, behind = pit.bid("alice", 4700, 300), pit.bid("bob", 4700, 300)
    pit.ask("bob", 4700, 100, stp="taker_at_cross")

    answer = amend(pit, order, total_e2=250)

    assert isinstance(answer, Placed)
    assert (answer.remaining_e2, answer.is_size_changed) == (150, True)
    assert pit.market.book.ahead_of(behind) == 150


def test_amend_to_a_larger_total_goes_behind_the_others(pit: Pit) -> None:
    order = pit.bid("alice", 4700, 300)
    pit.bid("bob", 4700, 200)

    amend(pit, order, total_e2=400)

    assert (order.remaining_e2, pit.market.book.ahead_of(order)) == (400, 200)


def test_amend_of_the_price_may_trade_and_keeps_the_order_id(pit: Pit) -> None:
    order = pit.bid("alice", 4700, 300)
    pit.ask("bob", 5200, 100)

    answer = amend(pit, order, price_e4=5200)

    assert isinstance(answer, Placed)
    assert (answer.order_id, answer.filled_e2, answer.remaining_e2) == (order.order_id, 100, 200)
    assert list(pit.market.book.displayed(Side.BID)) == [(5200, 200)]


def test_amend_of_the_expiry_alone_keeps_place_and_size(pit: Pit) -> None:
    order, behind = pit.bid("alice", 4700, 300), pit.bid("bob", 4700)

    answer = amend(pit, order, expires_s=pit.now_ns // NS_PER_S + 5)

    assert isinstance(answer, Placed)
    assert not answer.is_size_changed
    assert pit.market.book.ahead_of(behind) == 300
    pit.wait(6)
    assert order.status is OrderStatus.CANCELED


def test_amend_removes_an_expiry_with_zero(pit: Pit) -> None:
    order = pit.bid("alice", 4700, expires_s=pit.now_ns // NS_PER_S + 5)

    amend(pit, order, expires_s=0)
    pit.wait(6)

    assert order.is_resting


def test_amend_to_what_is_filled_already_cancels_and_to_less_is_refused(pit: Pit) -> None:
    order = pit.bid("alice", 4700, 300)
    pit.ask("bob", 4700, 100)

    assert code(amend(pit, order, total_e2=99)) == "invalid_amend_qty_for_order"
    assert isinstance(amend(pit, order, total_e2=100), Placed)
    assert (order.status, order.filled_e2) == (OrderStatus.CANCELED, 100)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"side": Side.ASK}, "order_side_mismatch"),
        ({"client_order_id": "other"}, "order_id_and_client_order_id_mismatch"),
        ({"price_e4": 4750}, "invalid_price"),
        ({"expires_s": 1}, "invalid_order"),
    ],
)
def test_amend_that_does_not_fit_the_order_changes_nothing(
    pit: Pit, changes: dict[str, object], expected: str
) -> None:
    order = pit.bid("alice", 4700, client_order_id="mine")

    assert code(amend(pit, order, **changes)) == expected
    assert (order.price_e4, order.remaining_e2, order.expires_ns) == (4700, 100, None)


def test_amend_through_another_market_of_the_shard_is_a_mismatch(pit: Pit) -> None:
    order = pit.bid("alice", 4700)

    assert code(amend(pit, order, ref=OrderRef(order.order_id, "S-E-N"))) == "order_ticker_mismatch"


def test_amend_renames_an_order_to_an_id_that_was_never_used(pit: Pit) -> None:
    pit.bid("alice", 4600, client_order_id="taken")
    order = pit.bid("alice", 4700, client_order_id="old")

    assert code(amend(pit, order, updated_client_order_id="taken")) == "order_already_exists"
    amend(pit, order, updated_client_order_id="new")

    assert order.client_order_id == "new"
    assert code(pit.send("alice", Side.BID, 4500, client_order_id="new")) == "order_already_exists"


def test_amend_of_a_post_only_order_into_a_cross_is_refused(pit: Pit) -> None:
    pit.ask("bob", 5200)
    order = pit.bid("alice", 4700, post_only=True)

    assert code(amend(pit, order, price_e4=5200)) == "invalid_order"
    assert pit.market.book.best(Side.BID) == (4700, 100)


def test_amend_that_costs_more_than_there_is_leaves_the_order_alone() -> None:
    pit = Pit(cash_e6=60_000_000)
    order = pit.bid("alice", 4700, 10_000)

    assert code(amend(pit, order, price_e4=9000)) == "insufficient_balance"
    assert pit.market.book.best(Side.BID) == (4700, 10_000)
    assert MARKET in pit.venue.accounts["alice"].resting

"""Order entry, rule by rule (kalshi-api sections 11 to 13)."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.domain.side import Side
from services.simexchange.core.events import Filled, LevelChanged, OrderChanged, Traded
from services.simexchange.core.orders import OrderStatus, Reason
from services.simexchange.core.requests import OrderRef, Placed, Reduced, Rejection
from tests.support.venue_core import (
    FOK,
    IOC,
    MARKET,
    NS_PER_S,
    OTHER_MARKET,
    SHARD_MARKET,
    START_NS,
    STP_MAKER,
    Pit,
    code,
)


@pytest.fixture
def pit() -> Pit:
    return Pit()


def test_an_order_that_meets_nothing_rests_at_its_price(pit: Pit) -> None:
    order = pit.bid("alice", 4700, 300)

    assert (order.status, order.remaining_e2) == (OrderStatus.RESTING, 300)
    assert list(pit.market.book.displayed(Side.BID)) == [(4700, 300)]


def test_a_trade_is_at_the_price_of_the_resting_order(pit: Pit) -> None:
    pit.ask("bob", 5200)

    answer = pit.send("alice", Side.BID, 9900, tif=IOC)

    assert isinstance(answer, Placed)
    assert answer.fill_notional_e6 == 5200 * 100
    assert answer.fill_fees_e6 == 17_500  # recorded: one contract at 0.52 costs 0.0175


def test_better_prices_trade_first_and_older_orders_first_among_equals(pit: Pit) -> None:
    worse = pit.ask("bob", 5300)
    older, younger = pit.ask("bob", 5200), pit.ask("bob", 5200)

    pit.bid("alice", 5300, 150)

    assert (older.filled_e2, younger.filled_e2, worse.filled_e2) == (100, 50, 0)


def test_what_is_left_of_a_crossing_order_rests(pit: Pit) -> None:
    pit.ask("bob", 5200, 100)

    order = pit.bid("alice", 5300, 250)

    assert (order.filled_e2, order.remaining_e2, order.status) == (100, 150, OrderStatus.RESTING)
    assert pit.market.book.best(Side.BID) == (5300, 150)


def test_immediate_or_cancel_never_rests(pit: Pit) -> None:
    pit.ask("bob", 5200, 100)

    order = pit.bid("alice", 5300, 250, tif=IOC)

    assert (order.filled_e2, order.remaining_e2, order.status) == (100, 0, OrderStatus.CANCELED)
    assert pit.market.book.best(Side.BID) is None


def test_fill_or_kill_that_cannot_be_filled_is_refused_and_burns_its_id(pit: Pit) -> None:
    pit.ask("bob", 5200, 100)

    assert code(pit.send("alice", Side.BID, 5200, 101, tif=FOK, client_order_id="f")) == (
        "fill_or_kill_insufficient_resting_volume"
    )
    assert code(pit.send("alice", Side.BID, 1000, client_order_id="f")) == "order_already_exists"
    assert pit.market.book.best(Side.ASK) == (5200, 100)


def test_fill_or_kill_that_can_be_filled_is(pit: Pit) -> None:
    pit.ask("bob", 5200, 60)
    pit.ask("bob", 5300, 60)

    order = pit.bid("alice", 5300, 120, tif=FOK)

    assert (order.filled_e2, order.status) == (120, OrderStatus.EXECUTED)


def test_fill_or_kill_that_meets_an_own_order_keeps_its_partial_fill(pit: Pit) -> None:
    pit.ask("bob", 5100, 60)
    pit.ask("alice", 5200, 60)

    order = pit.bid("alice", 5300, 120, tif=FOK)

    assert (order.filled_e2, order.status) == (60, OrderStatus.CANCELED)


def test_post_only_that_would_cross_is_refused_and_creates_nothing(pit: Pit) -> None:
    pit.ask("bob", 5200)

    answer = pit.send("alice", Side.BID, 5200, post_only=True, client_order_id="p")

    assert isinstance(answer, Rejection)
    assert (answer.status, answer.code, answer.details) == (400, "invalid_order", "post only cross")
    assert not pit.venue.accounts["alice"].orders
    pit.bid("alice", 5100, post_only=True, client_order_id="p")


def test_post_only_counts_own_orders_too(pit: Pit) -> None:
    pit.ask("alice", 5200)

    assert code(pit.send("alice", Side.BID, 5200, post_only=True)) == "invalid_order"


def test_taker_at_cross_stops_before_the_own_order_and_leaves_it(pit: Pit) -> None:
    pit.ask("bob", 5100, 100)
    own = pit.ask("alice", 5200, 100)
    pit.ask("bob", 5300, 100)

    taker = pit.bid("alice", 5300, 300)

    assert (taker.filled_e2, taker.remaining_e2, taker.reason) == (100, 0, Reason.SELF_TRADE_CANCEL)
    assert own.is_resting
    assert pit.market.book.best(Side.BID) is None


def test_maker_prevention_cancels_the_own_order_and_goes_on(pit: Pit) -> None:
    own = pit.ask("alice", 5200, 100)
    pit.ask("bob", 5300, 100)

    taker = pit.bid("alice", 5300, 150, stp=STP_MAKER)

    assert (own.status, own.reason) == (OrderStatus.CANCELED, Reason.SELF_TRADE_CANCEL)
    assert (taker.filled_e2, taker.remaining_e2) == (100, 50)
    assert pit.market.book.best(Side.ASK) is None


def test_reduce_only_is_capped_to_the_position(pit: Pit) -> None:
    pit.ask("bob", 5000, 50)
    pit.bid("alice", 5000, 50)
    pit.bid("bob", 4900, 500)

    order = pit.ask("alice", 4900, 200, tif=IOC, reduce_only=True)

    assert (order.filled_e2, order.remaining_e2, order.reason) == (50, 0, Reason.REDUCE_ONLY_CANCEL)
    assert pit.position("alice") == 0


def test_reduce_only_without_a_position_ends_at_once(pit: Pit) -> None:
    pit.bid("bob", 4900, 500)

    order = pit.ask("alice", 4900, 200, tif=IOC, reduce_only=True)

    assert (order.filled_e2, order.status, order.reason) == (
        0,
        OrderStatus.CANCELED,
        Reason.REDUCE_ONLY_CANCEL,
    )


@pytest.mark.parametrize(
    ("changes", "details"),
    [
        ({"expires_s": START_NS // NS_PER_S}, "Expiration timestamp must be in the future"),
        (
            {"expires_s": START_NS // NS_PER_S + 5, "tif": IOC},
            "Cannot specify both immediate_or_cancel and expiration_ts",
        ),
        ({"reduce_only": True}, "reduce_only requires immediate_or_cancel"),
        ({"post_only": True, "tif": IOC}, "post_only requires good_till_canceled"),
    ],
)
def test_an_order_that_contradicts_itself_is_refused(pit: Pit, changes: dict[str, Any], details: str) -> None:
    answer = pit.send("alice", Side.BID, 4700, **changes)

    assert isinstance(answer, Rejection)
    assert (answer.status, answer.code, answer.details) == (400, "invalid_order", details)


def test_an_order_expires_at_its_second_and_says_so(pit: Pit) -> None:
    order = pit.bid("alice", 4700, expires_s=START_NS // NS_PER_S + 5)
    pit.wait(4.9)
    assert order.is_resting
    pit.events()

    pit.wait(0.2)

    assert (order.status, order.remaining_e2) == (OrderStatus.CANCELED, 0)
    assert pit.reasons(order) == ["ExpiryCancel"]


def test_an_expired_order_cannot_trade_even_if_nobody_looked_meanwhile(pit: Pit) -> None:
    order = pit.bid("alice", 4700, expires_s=START_NS // NS_PER_S + 5)
    pit.now_ns += 6 * NS_PER_S

    pit.ask("bob", 4700)

    assert order.filled_e2 == 0


def test_a_client_order_id_is_never_free_again(pit: Pit) -> None:
    order = pit.bid("alice", 4700, client_order_id="once")
    pit.cancel("alice", order)

    assert code(pit.send("alice", Side.BID, 4600, client_order_id="once")) == "order_already_exists"
    assert isinstance(pit.send("bob", Side.BID, 4600, client_order_id="once"), Placed)


def test_a_landed_order_is_recognised_even_when_the_market_has_closed_since(pit: Pit) -> None:
    pit.bid("alice", 4700, client_order_id="once")
    pit.wait(pit.seconds)

    assert code(pit.send("alice", Side.BID, 4700, client_order_id="once")) == "order_already_exists"


@pytest.mark.parametrize("price_e4", [0, 10_000, 4750])
def test_a_price_off_the_grid_is_refused(pit: Pit, price_e4: int) -> None:
    assert code(pit.send("alice", Side.BID, price_e4)) == "invalid_price"


def test_a_market_that_is_not_listed_or_on_another_shard_is_not_found(pit: Pit) -> None:
    assert code(pit.send("alice", Side.BID, 4700, market="NONE")) == "not_found"
    assert code(pit.send("alice", Side.BID, 4700, exchange_index=2)) == "not_found"
    assert isinstance(pit.send("alice", Side.BID, 4700, exchange_index=-1), Placed)


def test_cancel_says_what_it_took_off_and_a_second_one_finds_nothing(pit: Pit) -> None:
    order = pit.bid("alice", 4700, 300)
    pit.ask("bob", 4700, 100)

    answer = pit.cancel("alice", order)

    assert isinstance(answer, Reduced)
    assert answer.reduced_e2 == 200
    assert code(pit.cancel("alice", order)) == "not_found"


def test_nobody_cancels_another_accounts_order(pit: Pit) -> None:
    order = pit.bid("alice", 4700)

    assert code(pit.cancel("bob", order)) == "not_found"
    assert order.is_resting


def test_an_order_id_alone_is_looked_for_on_shard_zero_only(pit: Pit) -> None:
    pit.venue.deposit("alice", 2, 100_000_000, pit.now_ns)
    order = pit.bid("alice", 4700, market=SHARD_MARKET)

    assert code(pit.venue.cancel("alice", OrderRef(order.order_id), pit.now_ns)) == "not_found"
    assert code(pit.venue.cancel("alice", OrderRef(order.order_id, MARKET), pit.now_ns)) == "not_found"
    assert isinstance(pit.venue.cancel("alice", OrderRef(order.order_id, SHARD_MARKET), pit.now_ns), Reduced)


def test_cancel_all_reaches_every_market_and_shard_and_nobody_else(pit: Pit) -> None:
    pit.venue.deposit("alice", 2, 100_000_000, pit.now_ns)
    mine = [pit.bid("alice", 4700), pit.bid("alice", 4600, market=OTHER_MARKET), pit.ask("alice", 5200)]
    mine.append(pit.bid("alice", 4700, market=SHARD_MARKET))
    theirs = pit.bid("bob", 4700)

    assert pit.venue.cancel_all("alice", pit.now_ns) == 4
    assert not any(order.is_resting for order in mine)
    assert theirs.is_resting


def test_orders_within_a_minute_of_cancel_all_are_cancelled_too_where_the_shadow_is_on(pit: Pit) -> None:
    pit.venue.entry.shadow_probability = 1.0
    pit.venue.cancel_all("alice", pit.now_ns)

    shadowed = pit.bid("alice", 4700)
    pit.wait(61)

    assert not shadowed.is_resting
    assert pit.bid("alice", 4700).is_resting


def test_where_the_prevention_is_broken_an_account_trades_with_itself_and_no_money_is_lost(pit: Pit) -> None:
    pit.venue.entry.prevents_self_trades = False
    maker = pit.ask("alice", 5200, 100)
    pit.events()

    taker = pit.bid("alice", 5200, 100)

    fills = [event for event in pit.events() if isinstance(event, Filled)]
    assert (maker.filled_e2, taker.filled_e2) == (100, 100)
    assert len(fills) == 2
    assert len({fill.trade_id for fill in fills}) == 1
    assert pit.venue.residual_e6() == 0


def test_a_fill_is_told_to_both_sides_and_the_trade_to_everyone(pit: Pit) -> None:
    pit.ask("bob", 5200, client_order_id="b")
    pit.events()

    pit.bid("alice", 5200, 40, client_order_id="a")

    events = pit.events()
    fills = [event for event in events if isinstance(event, Filled)]
    trades = [event for event in events if isinstance(event, Traded)]
    assert {(fill.account, fill.is_taker, fill.position_after_e2) for fill in fills} == {
        ("alice", True, 40),
        ("bob", False, -40),
    }
    assert {fill.trade_id for fill in fills} == {trades[0].trade_id}
    assert {event.account for event in events if isinstance(event, OrderChanged)} == {"alice", "bob"}


def test_level_changes_add_up_to_the_displayed_book_and_share_the_clock_of_their_action(pit: Pit) -> None:
    pit.ask("bob", 5200)
    pit.ask("bob", 5300)
    resting = pit.bid("alice", 5300, 250)
    pit.cancel("alice", resting)

    total: dict[tuple[Side, int], int] = {}
    clocks: list[int] = []
    for event in pit.events():
        if isinstance(event, LevelChanged) and event.market == MARKET:
            total[event.side, event.price_e4] = total.get((event.side, event.price_e4), 0) + event.change_e2
            clocks.append(event.clock)
    assert set(total.values()) == {0}
    assert clocks == [1, 2, 3, 3, 3, 4]

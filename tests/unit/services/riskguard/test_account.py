"""The account as the riskguard reads it: marks, day, results, open orders."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueOrderStatus
from libs.common.messages.execution import OrderState
from libs.common.messages.market import BandV1, FeeTermsV1, MarketState, MarketV1
from services.riskguard.core.account import Account
from services.riskguard.core.day import TradingDay
from services.riskguard.core.marks import Marks
from services.riskguard.core.open_orders import OpenOrders
from services.riskguard.core.reading import Reading
from tests.support.truth_builders import (
    MARKET,
    MS,
    NOW_MS,
    S,
    client_id,
    order_event,
    settlement,
    top,
    venue_fill,
    venue_order,
    venue_position,
)

DAY_MS = 86_400_000
UTC_DAY = TradingDay(ZoneInfo("UTC"), 0)


def account() -> Account:
    return Account(UTC_DAY, Marks(empty_grace_ns=5 * S), OpenOrders("sim"), day_ms=UTC_DAY.start_ms(NOW_MS))


def reading(**parts: object) -> Reading:
    fields: dict[str, object] = {
        "started_ns": 10 * S,
        "orders": (),
        "fills": (),
        "positions": (),
        "settlements": (),
    }
    return Reading(**{**fields, **parts})  # type: ignore[arg-type]


def status(**changes: object) -> MarketV1:
    fields: dict[str, object] = {
        "market": MARKET,
        "event": "E",
        "series": "S",
        "shard": 0,
        "state": MarketState.ACTIVE,
        "title": "t",
        "grid": (BandV1(start_e4=0, end_e4=10_000, step_e4=100),),
        "fee": FeeTermsV1(fee_type="quadratic", multiplier_e4=10_000),
        "open_ms": 0,
        "close_ms": NOW_MS,
        "is_exclusive_event": True,
        "can_close_early": False,
        "trading_active": True,
        "sequence": 1,
        "producer": "p",
    }
    return MarketV1(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_long_position_is_worth_the_bid_and_a_short_one_the_ask() -> None:
    marks = Marks(5 * S)
    marks.on_top(top(bid_e4=4_000, ask_e4=4_200), 0)
    assert marks.liquidation_e6(MARKET, 100, 0) == 4_000 * 100
    assert marks.liquidation_e6(MARKET, -100, 0) == (10_000 - 4_200) * 100
    assert marks.mid_e6(MARKET, 100) == 4_100 * 100


def test_a_side_that_stays_empty_is_worth_nothing_but_not_at_once() -> None:
    marks = Marks(5 * S)
    marks.on_top(top(bid_e4=4_000), 0)
    marks.on_top(top(bid_e4=None), 1)
    assert marks.liquidation_e6(MARKET, 100, 5 * S) == 400_000
    assert marks.liquidation_e6(MARKET, 100, 5 * S + 2) == 0


def test_after_the_close_the_last_price_stays_until_the_venue_says_what_it_pays() -> None:
    marks = Marks(5 * S)
    marks.on_top(top(bid_e4=9_800, ask_e4=9_900), 0)
    marks.on_top(top(bid_e4=None, ask_e4=None, state=MarketState.CLOSED), 1)
    assert marks.liquidation_e6(MARKET, 100, 60 * S) == 980_000
    marks.on_status(status(state=MarketState.DETERMINED, result="no"))
    assert marks.liquidation_e6(MARKET, 100, 60 * S) == 0
    marks.on_status(status(state=MarketState.DISPUTED))
    assert marks.liquidation_e6(MARKET, 100, 60 * S) == 980_000
    marks.on_status(status(state=MarketState.FINALIZED, result="scalar", settlement_value_e4=2_500))
    assert marks.liquidation_e6(MARKET, -100, 60 * S) == 750_000


def test_a_market_that_was_never_seen_counts_at_cost() -> None:
    seen = account()
    seen.on_reading(reading(fills=(venue_fill(price_e4=4_000, qty_e2=100),)), 0)
    assert seen.result(0).day_e6 == 0


@pytest.mark.parametrize(
    ("hours", "start_hour", "expected_hours"), [(1, 0, 0), (1, 2, -22), (2, 2, 2), (26, 2, 26)]
)
def test_the_day_begins_at_its_hour(hours: int, start_hour: int, expected_hours: int) -> None:
    midnight = 1_700_006_400_000
    day = TradingDay(ZoneInfo("UTC"), start_hour)
    assert day.start_ms(midnight + hours * 3_600_000) == midnight + expected_hours * 3_600_000


def test_a_day_of_the_clock_change_is_longer() -> None:
    day = TradingDay(ZoneInfo("America/New_York"), 0)
    before = day.start_ms(1_793_577_600_000)  # 2026-11-01 16:00 UTC, the day that has 25 hours
    after = day.start_ms(1_793_577_600_000 + DAY_MS)
    assert after - before == 25 * 3_600_000


def test_only_todays_results_count_today() -> None:
    seen = account()
    yesterday = seen.day_ms - 1
    fills = (
        venue_fill("t1", side=Side.BID, price_e4=5_000, qty_e2=200, fee_e6=7, venue_ms=yesterday),
        venue_fill("t2", side=Side.ASK, price_e4=4_000, qty_e2=100, fee_e6=11, venue_ms=NOW_MS),
    )
    seen.on_reading(reading(fills=fills), 0)
    seen.marks.on_top(top(bid_e4=4_500), 0)
    result = seen.result(0)
    assert (result.realised_e6, result.fees_e6) == (-100_000, 11)
    assert result.unrealised_liquidation_e6 == -50_000
    assert result.day_e6 == -150_011
    assert result.total_e6 == -150_018


def test_a_new_day_starts_from_nothing() -> None:
    seen = account()
    fills = (
        venue_fill("t1", side=Side.BID, price_e4=5_000),
        venue_fill("t2", side=Side.ASK, price_e4=6_000),
    )
    seen.on_reading(reading(fills=fills), 0)
    assert seen.result(0).day_e6 == 100_000
    assert seen.high_water_e6 == 100_000
    assert seen.begin_day_if_due(NOW_MS + DAY_MS)
    assert seen.result(0).day_e6 == 0
    assert seen.high_water_e6 == 0


def test_a_fill_counts_once_and_a_late_one_lands_where_it_belongs() -> None:
    fills = [
        venue_fill("t1", side=Side.BID, price_e4=3_000, venue_ms=NOW_MS),
        venue_fill("t2", side=Side.BID, price_e4=5_000, venue_ms=NOW_MS + 1),
        venue_fill("t3", side=Side.ASK, price_e4=6_000, venue_ms=NOW_MS + 2),
    ]
    in_order, late = account(), account()
    for fill in fills:
        in_order.on_fill(fill)
    for fill in (fills[0], fills[2], fills[1], fills[0]):
        late.on_fill(fill)
    late.on_reading(reading(fills=tuple(fills)), 0)
    assert in_order.result(0) == late.result(0)
    assert late.positions() == {MARKET: 100}


def test_a_settlement_realises_what_it_pays() -> None:
    seen = account()
    fill = venue_fill("t1", side=Side.BID, price_e4=4_000, qty_e2=100)
    seen.on_reading(reading(fills=(fill,), settlements=(settlement(yes_e2=100, revenue_e6=1_000_000),)), 0)
    result = seen.result(0)
    assert (result.settled_e6, result.day_e6) == (600_000, 600_000)
    assert seen.positions() == {}


def test_where_listing_and_fills_differ_both_stories_count() -> None:
    seen = account()
    fill = venue_fill("t1", qty_e2=100)
    seen.on_reading(reading(fills=(fill,), positions=(venue_position(-300, cost_e6=1_500_000),)), 0)
    (holding,) = seen.holdings()
    assert holding.positions == ((-300, 1_500_000), (100, 400_000))


def test_an_order_told_by_feed_and_listing_and_claim_counts_once() -> None:
    orders = OpenOrders("sim")
    orders.on_feed(venue_order(1), 1)
    orders.on_listing([venue_order(1)], 2, 3)
    orders.on_claim(order_event(1), 4)
    assert len(orders.by_market()[MARKET]) == 1
    assert (orders.seen_ours(), orders.claimed_ours()) == (1, 0)


def test_an_order_of_unknown_fate_counts_until_something_ends_it() -> None:
    orders = OpenOrders("sim")
    orders.on_claim(order_event(1, state=OrderState.UNKNOWN), 0)
    orders.on_listing([], 20 * S, 20 * S)
    assert orders.claimed_ours() == 1
    orders.on_claim(order_event(1, state=OrderState.CANCELLED, version=2), 21 * S)
    assert orders.by_market() == {}


def test_a_lagging_listing_does_not_bring_back_what_the_feed_ended() -> None:
    orders = OpenOrders("sim")
    orders.on_feed(venue_order(1), 0)
    orders.on_feed(venue_order(1, status=VenueOrderStatus.CANCELED, remaining_e2=0), 1)
    orders.on_listing([venue_order(1)], 2, 3)
    assert orders.seen_ours() == 0


def test_an_order_that_a_later_listing_lacks_is_gone() -> None:
    orders = OpenOrders("sim")
    orders.on_feed(venue_order(1), 0)
    orders.on_listing([], 2 * S, 2 * S)
    assert orders.seen_ours() == 1
    orders.on_listing([], 2 * S + 1, 3 * S)
    assert orders.seen_ours() == 0


def test_new_orders_are_counted_for_a_minute_and_amends_are_not() -> None:
    orders = OpenOrders("sim")
    for number in range(3):
        orders.on_feed(venue_order(number), 0)
        orders.on_feed(venue_order(number, price_e4=4_100), 1)
    orders.on_feed(venue_order(9, client_order_id="by-hand"), 0)
    assert orders.new_within_a_minute(60 * S) == 3
    assert orders.new_within_a_minute(60 * S + 1) == 0


def test_stale_books_are_told_only_while_the_market_is_open() -> None:
    marks = Marks(5 * S)
    marks.on_top(top(), 0)
    assert marks.stale_reason(MARKET, 0, NOW_MS, 5_000) is None
    assert marks.stale_reason(MARKET, 5_001 * MS, NOW_MS, 5_000) is not None
    assert marks.stale_reason(MARKET, 0, NOW_MS + 5_001, 5_000) is not None
    assert marks.stale_reason(MARKET, 0, NOW_MS + 3_600_000, 5_000) is None
    marks.on_top(top(is_stale=True), 0)
    assert marks.stale_reason(MARKET, 0, NOW_MS, 5_000) is not None


def test_client_ids_of_another_environment_are_foreign() -> None:
    orders = OpenOrders("live")
    orders.on_feed(venue_order(1, client_order_id=client_id(1, env="sim")), 0)
    assert orders.seen_ours() == 0

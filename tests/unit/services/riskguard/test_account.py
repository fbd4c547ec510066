"""The account as the riskguard reads it: marks, day, results, open orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
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


def test_a_dispute_takes_a_result_back_whatever_is_still_told() -> None:
    marks = Marks(5 * S)
    marks.on_top(top(bid_e4=9_000, ask_e4=9_900), 0)
    marks.on_status(status(state=MarketState.DETERMINED, result="no"))
    marks.on_status(status(state=MarketState.DISPUTED, result="no"))
    assert marks.settlement_e6(MARKET, 100) is None
    assert marks.liquidation_e6(MARKET, 100, 0) == 900_000


def test_a_settlement_mark_says_nothing_before_the_venue_does() -> None:
    marks = Marks(5 * S)
    marks.on_top(top(bid_e4=4_000, ask_e4=4_200), 0)
    assert marks.settlement_e6(MARKET, 100) is None
    marks.on_status(status(result="yes"))
    assert marks.settlement_e6(MARKET, -100) == 0
    assert marks.settlement_e6(MARKET, 100) == marks.mid_e6(MARKET, 100) == 1_000_000


def test_a_remembered_price_is_not_better_than_the_side_that_is_there() -> None:
    marks = Marks(5 * S)
    marks.on_top(top(bid_e4=4_000, ask_e4=4_200), 0)
    marks.on_top(top(bid_e4=None, ask_e4=3_000), 1)
    assert marks.liquidation_e6(MARKET, 100, 1) == 300_000
    marks.on_top(top(bid_e4=6_000, ask_e4=None), 2)
    assert marks.liquidation_e6(MARKET, -100, 2) == 400_000


def test_a_series_is_what_is_told_or_the_first_part_of_the_name() -> None:
    marks = Marks(5 * S)
    assert marks.series_of("KXA-26NOV21-B") == "KXA"
    marks.on_status(status(series="KXOTHER"))
    assert marks.series_of(MARKET) == "KXOTHER"


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


@pytest.mark.parametrize(
    ("noon", "hours"),
    [(datetime(2026, 11, 1, 17, tzinfo=UTC), 25), (datetime(2026, 3, 8, 16, tzinfo=UTC), 23)],
)
def test_a_day_of_the_clock_change_is_an_hour_longer_or_shorter(noon: datetime, hours: int) -> None:
    day, noon_ms = TradingDay(ZoneInfo("America/New_York"), 0), int(noon.timestamp()) * 1_000
    before, after = day.start_ms(noon_ms), day.start_ms(noon_ms + DAY_MS)
    assert after - before == hours * 3_600_000
    assert day.start_ms(after - 1) == before
    assert day.start_ms(after) == after


def test_a_day_that_begins_in_an_hour_that_is_skipped_begins_when_the_clocks_jump() -> None:
    day = TradingDay(ZoneInfo("America/New_York"), 2)
    jump_ms = int(datetime(2026, 3, 8, 7, tzinfo=UTC).timestamp()) * 1_000  # 02:00 becomes 03:00
    assert day.start_ms(jump_ms) == jump_ms
    assert day.start_ms(jump_ms - 1) < jump_ms


def test_a_day_that_begins_in_an_hour_that_comes_twice_begins_once() -> None:
    day = TradingDay(ZoneInfo("America/New_York"), 1)
    first_ms = int(datetime(2026, 11, 1, 5, tzinfo=UTC).timestamp()) * 1_000
    assert {day.start_ms(first_ms + minutes * 60_000) for minutes in range(0, 180, 10)} == {first_ms}


def test_only_todays_results_count_today() -> None:
    seen = account()
    yesterday = seen.day_ms - 1
    fills = (
        venue_fill("t1", side=Side.BID, price_e4=5_000, qty_e2=200, fee_e6=7, venue_ms=yesterday),
        venue_fill("t2", side=Side.ASK, price_e4=4_000, qty_e2=100, fee_e6=11, venue_ms=NOW_MS),
    )
    seen.on_reading(reading(fills=fills), 0)
    seen.marks.on_top(top(bid_e4=4_500, ask_e4=4_700), 0)
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
    assert seen.begin_day_if_due(NOW_MS + DAY_MS, 0)
    assert seen.result(0).day_e6 == 0
    assert seen.high_water_e6 == 0


PAID_LATER = settlement(yes_e2=100, revenue_e6=1_000_000, settled_ms=NOW_MS + 20)
HELD = venue_fill("t1", side=Side.BID, price_e4=5_000, qty_e2=200, venue_ms=NOW_MS)


def test_what_is_held_over_midnight_opens_at_its_worth_then_and_not_at_cost() -> None:
    """Yesterday lost 20 cents on it; today it gains 10 of them back."""
    seen = account()
    seen.marks.on_top(top(bid_e4=4_900, ask_e4=5_100), 0)
    seen.on_reading(reading(fills=(HELD,)), 0)
    assert seen.result(0).day_e6 == -20_000
    assert seen.begin_day_if_due(NOW_MS + DAY_MS, 0)
    assert (seen.result(0).day_e6, seen.result(0).unrealised_open_e6) == (0, -20_000)
    seen.marks.on_top(top(bid_e4=4_950, ask_e4=5_100), 0)
    assert seen.result(0).day_e6 == 10_000
    assert seen.result(0).unrealised_liquidation_e6 == -10_000
    assert seen.high_water_e6 == 10_000


def test_what_was_held_and_is_sold_today_made_the_difference_to_its_opening() -> None:
    seen = account()
    seen.marks.on_top(top(bid_e4=4_900, ask_e4=5_100), 0)
    seen.on_reading(reading(fills=(HELD,)), 0)
    seen.begin_day_if_due(NOW_MS + DAY_MS, 0)
    sold = venue_fill("t2", side=Side.ASK, price_e4=4_800, qty_e2=200, fee_e6=7, venue_ms=NOW_MS + DAY_MS)
    seen.on_fill(sold)
    result = seen.result(0)
    assert (result.realised_e6, result.fees_e6, result.unrealised_open_e6) == (-40_000, 7, -20_000)
    assert result.day_e6 == -20_007
    assert result.trades == 1


def test_days_later_nothing_is_known_one_by_one_and_everything_still_counts() -> None:
    seen, plain = account(), account()
    fills = [
        venue_fill(f"t{at}", side=(Side.BID, Side.ASK)[at % 2], price_e4=4_000 + 7 * at, venue_ms=NOW_MS + at)
        for at in range(9)
    ]
    for each in (seen, plain):
        each.on_reading(reading(fills=tuple(fills), settlements=(PAID_LATER,)), 0)
    for day in range(1, 5):
        seen.begin_day_if_due(NOW_MS + day * DAY_MS, 0)
        seen.on_reading(reading(settlements=(PAID_LATER,)), 0)
    assert not seen.on_fill(fills[0]), "told again, it is an old one"
    late = venue_fill("late", price_e4=4_000, venue_ms=NOW_MS + 4 * DAY_MS)
    amended = replace(PAID_LATER, revenue_e6=500_000, settled_ms=NOW_MS + 4 * DAY_MS + 1)
    for each in (seen, plain):
        each.on_fill(late)
        each.on_reading(reading(settlements=(amended,)), 0)
    assert seen.result(0).total_e6 == plain.result(0).total_e6
    assert seen.trips(50, 0) == plain.trips(50, 0)
    assert seen.shards(0)[0].cash_e6 == plain.shards(0)[0].cash_e6
    assert seen.young_cash(0, NOW_MS + 4 * DAY_MS) == plain.young_cash(0, NOW_MS + 4 * DAY_MS)
    assert len(seen._known) == 1


def test_a_late_fill_of_yesterday_changes_yesterday() -> None:
    seen = account()
    seen.marks.on_top(top(bid_e4=4_900, ask_e4=5_100), 0)
    seen.begin_day_if_due(NOW_MS + DAY_MS, 0)
    seen.on_fill(HELD)
    assert seen.result(0).day_e6 == 0


@pytest.mark.parametrize(("bid_e4", "day_e6"), [(4_900, -20_000), (5_600, 0)])
def test_an_opening_that_nobody_saw_is_the_first_mark_or_cost_where_that_is_more(
    bid_e4: int, day_e6: int
) -> None:
    """Started today with what was bought yesterday: the day is never better than it was."""
    seen = account()
    seen.on_reading(reading(fills=(replace(HELD, venue_ms=seen.day_ms - 1),)), 0)
    assert seen.result(0).day_e6 == 0
    seen.marks.on_top(top(bid_e4=bid_e4, ask_e4=6_000), 0)
    assert seen.result(0).day_e6 == day_e6
    seen.marks.on_top(top(bid_e4=bid_e4 + 100, ask_e4=6_000), 0)
    assert seen.result(0).day_e6 == day_e6 + 20_000


def test_right_after_a_start_cost_is_no_peak() -> None:
    """Under water by a dollar: until its book is heard the position counts at cost."""
    seen = account()
    seen.on_reading(reading(fills=(HELD, venue_fill("t0", market="OTHER", venue_ms=NOW_MS - 1))), 0)
    seen.on_fill(venue_fill("t3", market="X", side=Side.BID, price_e4=1_000, venue_ms=NOW_MS))
    seen.on_fill(venue_fill("t4", market="X", side=Side.ASK, price_e4=2_000, venue_ms=NOW_MS))
    assert seen.result(9 * S).day_e6 == 100_000
    assert seen.high_water_e6 == 0
    seen.result(11 * S)
    assert seen.high_water_e6 == 100_000, "a market that nobody shows is not waited for for ever"


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


PAID = settlement(yes_e2=100, revenue_e6=1_000_000, settled_ms=NOW_MS)


def test_an_amended_settlement_replaces_the_first_and_is_a_result_of_its_own_day() -> None:
    bought = venue_fill("t1", side=Side.BID, price_e4=4_000, qty_e2=100, venue_ms=NOW_MS - 1)
    seen = account()
    seen.on_reading(reading(fills=(bought,), settlements=(PAID,)), 0)
    assert seen.result(0).day_e6 == 600_000
    seen.begin_day_if_due(NOW_MS + DAY_MS, 0)
    amended = replace(PAID, result="no", revenue_e6=0, settled_ms=NOW_MS + DAY_MS)
    for settlements in ((amended,), (amended,), (PAID, amended), (amended, PAID)):
        seen.on_reading(reading(fills=(bought,), settlements=settlements), 0)
        result = seen.result(0)
        assert (result.settled_e6, result.day_e6, result.total_e6) == (-1_000_000, -1_000_000, -400_000)
        assert [trip.result_e6 for trip in seen.trips(5, 0)] == [-400_000]
    afresh = account()
    afresh.on_reading(reading(fills=(bought,), settlements=(amended,)), 0)
    assert afresh.result(0).total_e6 == -400_000


def test_a_settlement_that_changes_under_the_same_stamp_is_the_one_told_last() -> None:
    seen = account()
    bought = venue_fill("t1", side=Side.BID, price_e4=4_000, qty_e2=100, venue_ms=NOW_MS - 1)
    seen.on_reading(reading(fills=(bought,), settlements=(PAID,)), 0)
    seen.on_reading(reading(fills=(bought,), settlements=(replace(PAID, revenue_e6=250_000),)), 0)
    assert (seen.result(0).settled_e6, seen.result(0).total_e6) == (-150_000, -150_000)


def test_the_part_of_a_cent_that_is_not_paid_is_a_fee_once() -> None:
    seen = account()
    bought = venue_fill("t1", side=Side.BID, price_e4=4_000, qty_e2=50, venue_ms=NOW_MS - 1)
    paid = settlement(yes_e2=50, revenue_e6=160_000, fee_e6=2_500, settled_ms=NOW_MS)
    seen.on_reading(reading(fills=(bought,), settlements=(paid,)), 0)
    assert seen.result(0).day_e6 == 160_000 - 200_000
    assert seen.shards(0)[0].cash_e6 == 160_000 - 200_000


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

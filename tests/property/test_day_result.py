"""Equity and the day's result: no order, no doubling changes them; liquidation is never better than mid."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.ledger import Position
from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueFill, VenueSettlement
from libs.common.messages.market import MarketState
from services.riskguard.core.account import Account
from services.riskguard.core.day import TradingDay
from services.riskguard.core.marks import Marks
from services.riskguard.core.open_orders import OpenOrders
from services.riskguard.core.reading import Reading
from tests.support.truth_builders import NOW_MS, S, settlement, top, venue_fill

DAY_MS = TradingDay(ZoneInfo("UTC"), 0).start_ms(NOW_MS)
MARKETS = ("A", "B", "C")


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[VenueFill], list[VenueSettlement]]:
    """Return fills around the beginning of the day, and settlements, some of them amended."""
    fills = [
        venue_fill(
            f"t{number}",
            market=draw(st.sampled_from(MARKETS)),
            side=draw(st.sampled_from(Side)),
            price_e4=draw(st.integers(1, 9_999)),
            qty_e2=draw(st.integers(1, 300)),
            fee_e6=draw(st.integers(0, 20_000)),
            venue_ms=DAY_MS + draw(st.integers(-20, 20)),
        )
        for number in range(draw(st.integers(0, 12)))
    ]
    paid = [
        settlement(
            market,
            revenue_e6=draw(st.integers(0, 300)) * 10_000,
            fee_e6=draw(st.integers(0, 9_999)),
            settled_ms=DAY_MS + draw(st.sampled_from((-5, 25))) + version,
        )
        for market in draw(st.sets(st.sampled_from(MARKETS)))
        for version in range(draw(st.integers(1, 3)))
    ]
    return fills, paid


def account() -> Account:
    """Return an account that lived over the beginning of the day with every book in sight."""
    seen = Account(TradingDay(ZoneInfo("UTC"), 0), Marks(5 * S), OpenOrders("sim"))
    for at, market in enumerate(MARKETS):
        seen.marks.on_top(top(market, bid_e4=3_000 + at * 500, ask_e4=4_000 + at * 500), 0)
    seen.begin_day_if_due(DAY_MS, 0)
    for at, market in enumerate(MARKETS):
        seen.marks.on_top(top(market, bid_e4=4_000 - at * 500, ask_e4=4_200), 0)
    return seen


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_no_order_and_no_doubling_of_fills_and_settlements_changes_anything(
    history: tuple[list[VenueFill], list[VenueSettlement]], shuffled: st.DataObject
) -> None:
    fills, paid = history
    plain, mixed = account(), account()
    plain.on_reading(Reading(0, (), tuple(fills), (), tuple(paid)), 0)
    told: list[VenueFill | VenueSettlement] = [*fills, *fills, *paid, *paid]
    shuffled.shuffle(told)  # type: ignore[attr-defined]
    for event in told:
        if isinstance(event, VenueFill):
            mixed.on_fill(event)
        else:
            mixed.on_reading(Reading(0, (), (), (), (event,)), 0)
    assert mixed.result(0) == plain.result(0)
    assert mixed.shards(0) == plain.shards(0)
    assert mixed.trips(50, 0) == plain.trips(50, 0)


@given(histories())
@settings(max_examples=150, deadline=None)
def test_the_days_result_is_equity_now_minus_equity_when_it_began(
    history: tuple[list[VenueFill], list[VenueSettlement]],
) -> None:
    """Against two accounts of the ledger, one of which stops at the beginning of the day."""
    fills, paid = history
    seen = account()
    seen.on_reading(Reading(0, (), tuple(fills), (), tuple(paid)), 0)
    sums = seen.shards(0)
    equity_e6 = sum(s.cash_e6 + s.worth_e6 for s in sums.values())
    opening_e6 = sum(s.opening_e6 for s in sums.values())
    assert seen.result(0).day_e6 == equity_e6 - opening_e6
    before_e6 = 0
    for at, market in enumerate(MARKETS):
        position, newest = Position(), None
        events = sorted(
            [(f.venue_ms, 0, f.trade_id, f) for f in fills if f.market == market]
            + [(s.settled_ms, 1, "", s) for s in paid if s.market == market],
            key=lambda event: event[:3],
        )
        for at_ms, _, _, event in events:
            if at_ms >= DAY_MS:
                break
            if isinstance(event, VenueFill):
                position.apply_fill(event.side, event.price_e4, event.qty_e2, event.fee_e6)
            elif newest is None:
                position.apply_settlement(event.gross_e6, event.fee_e6)
                newest = event
            else:
                position.amend_settlement(event.gross_e6 - newest.gross_e6, event.fee_e6 - newest.fee_e6)
                newest = event
        leg_e4 = 3_000 + at * 500 if position.qty_e2 > 0 else 6_000 - at * 500
        before_e6 += position.cash_e6 + abs(position.qty_e2) * leg_e4
    assert opening_e6 == before_e6


prices = st.none() | st.integers(1, 9_999)


@given(
    st.lists(st.tuples(prices, prices, st.booleans(), st.integers(0, 8)), min_size=1, max_size=8),
    st.integers(-500, 500),
    st.integers(0, 8),
)
def test_liquidation_is_never_better_than_mid(
    tops: list[tuple[int | None, int | None, bool, int]], qty_e2: int, later_s: int
) -> None:
    marks, now_ns = Marks(5 * S), 0
    for bid_e4, ask_e4, is_open, passed_s in tops:
        now_ns += passed_s * S
        state = MarketState.ACTIVE if is_open else MarketState.CLOSED
        marks.on_top(top("A", bid_e4=bid_e4, ask_e4=ask_e4, state=state), now_ns)
    now_ns += later_s * S
    mid_e6, liquidation_e6 = marks.mid_e6("A", qty_e2), marks.liquidation_e6("A", qty_e2, now_ns)
    if mid_e6 is not None:
        assert liquidation_e6 is not None
        assert 0 <= liquidation_e6 <= mid_e6

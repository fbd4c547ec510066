from __future__ import annotations

import pytest

from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from services.strategy.core import shape
from tests.support.market_builders import CENT, FINEST, NOW_MS, TAPERED, TENTH, book, position
from tests.support.strategy_builders import sheet


@pytest.mark.parametrize(
    ("steps", "bid", "ask", "expected"),
    [
        (CENT, 4_987.3, 5_012.7, (4_900, 5_100)),
        (TENTH, 4_987.3, 5_012.7, (4_980, 5_020)),
        (FINEST, 4_987.3, 5_012.7, (4_987, 5_013)),
        (CENT, 5_000.0, 5_100.0, (5_000, 5_100)),
    ],
)
def test_prices_snap_outward_on_the_markets_own_grid(
    steps: tuple[tuple[int, int, int], ...], bid: float, ask: float, expected: tuple[int, int]
) -> None:
    work = sheet(book(((4_800, 100),), ((5_200, 100),), steps=steps))
    work.bid_e4, work.ask_e4 = bid, ask
    shape.snap(work)
    assert (work.bid_e4, work.ask_e4) == expected


def test_a_tapered_grid_has_its_finer_ends() -> None:
    work = sheet(book(((900, 100),), ((1_100, 100),), steps=TAPERED))
    work.bid_e4, work.ask_e4 = 983.0, 1_001.0
    shape.snap(work)
    assert (work.bid_e4, work.ask_e4) == (980, 1_100)


def test_a_quote_stays_short_of_the_displayed_opposite_touch() -> None:
    work = sheet(book(((4_900, 100),), ((5_000, 100),)))
    work.bid_e4, work.ask_e4 = 5_040.0, 5_060.0
    shape.snap(work)
    assert (work.bid_e4, work.ask_e4) == (4_900, 5_100)
    other = sheet(book(((4_900, 100),), ((5_000, 100),)))
    other.bid_e4, other.ask_e4 = 4_700.0, 4_800.0
    shape.snap(other)
    assert (other.bid_e4, other.ask_e4) == (4_700, 5_000)


def test_a_quote_without_width_does_not_cross_itself() -> None:
    work = sheet(book(((4_800, 100),), ((5_200, 100),)))
    work.bid_e4 = work.ask_e4 = 5_000.0
    shape.snap(work)
    assert (work.bid_e4, work.ask_e4) == (4_900, 5_000)


def test_a_price_off_the_ends_of_the_grid_is_silence() -> None:
    work = sheet(book(((100, 100),), ((200, 100),)))
    work.bid_e4, work.ask_e4 = 40.0, 160.0
    shape.snap(work)
    assert work.bid_reason is not None
    assert work.bid_reason[0] == Reason.PRICE_OUT_OF_RANGE
    assert work.ask_reason is None


@pytest.mark.parametrize(
    ("qty_e2", "bid_e2", "ask_e2"),
    [(0, 1_000, 1_000), (4_500, 500, 1_000), (-4_500, 1_000, 500), (4_000, 1_000, 1_000)],
)
def test_sizes_leave_room_for_a_whole_fill_under_the_cap(qty_e2: int, bid_e2: int, ask_e2: int) -> None:
    work = sheet(held=position(qty_e2))
    shape.caps(work)
    assert (work.bid_e2, work.ask_e2) == (bid_e2, ask_e2)


@pytest.mark.parametrize(("qty_e2", "silent"), [(5_000, Side.BID), (9_000, Side.BID), (-5_000, Side.ASK)])
def test_the_side_that_would_pass_the_cap_is_silent(qty_e2: int, silent: Side) -> None:
    work = sheet(held=position(qty_e2))
    assert shape.caps(work) == Reason.INVENTORY_CAP
    reasons = {Side.BID: work.bid_reason, Side.ASK: work.ask_reason}
    said = reasons[silent]
    assert said is not None
    assert said[0] == Reason.INVENTORY_CAP
    assert reasons[silent.opposite] is None


def test_scale_and_global_maximum_bound_the_size() -> None:
    work = sheet(scale_e4=5_000)
    shape.caps(work)
    assert work.bid_e2 == 500
    small = sheet(size_e2_max=300)
    shape.caps(small)
    assert small.ask_e2 == 300


def test_no_quote_costs_more_than_a_twentieth_of_the_bankroll() -> None:
    # 5 % of 50 dollars is 2.50: five contracts bought at 0.50, or sold at 0.50.
    work = sheet(bankroll_e6=50_000_000)
    shape.caps(work)
    assert (work.bid_e2, work.ask_e2) == (500, 500)


def test_kelly_bounds_the_size_by_the_edge() -> None:
    # Belief .55 at .50: f = .05 / .50 = .1; a quarter of it of 1000 dollars is 25 dollars: 50 contracts.
    work = sheet(
        fair_e4=5_500.0,
        bankroll_e6=1_000_000_000,
        kelly_fraction=0.25,
        size_e2=100_000,
        inventory_e2_max=10**9,
    )
    work.bid_e4, work.ask_e4 = 5_000.0, 5_500.0
    shape.caps(work)
    assert work.bid_e2 == pytest.approx(5_000, abs=1)
    assert work.ask_e2 == 0


@pytest.mark.parametrize(
    ("qty_e2", "bid_e2", "ask_e2"),
    [(700, None, 700), (-300, 300, None), (0, None, None), (9_000, None, 1_000)],
)
def test_reduce_only_quotes_towards_flat_and_not_through_it(
    qty_e2: int, bid_e2: int | None, ask_e2: int | None
) -> None:
    work = sheet(held=position(qty_e2), reduce_only=True)
    shape.reduce_only(work)
    assert (None if work.bid_reason else work.bid_e2) == bid_e2
    assert (None if work.ask_reason else work.ask_e2) == ask_e2
    for reason in (work.bid_reason, work.ask_reason):
        assert reason is None or reason[0] == Reason.REDUCE_ONLY


def test_the_rest_of_a_position_below_one_step_can_still_be_reduced() -> None:
    work = sheet(held=position(37), reduce_only=True)
    shape.reduce_only(work)
    shape.size(work)
    assert work.ask_reason is None
    assert work.ask_e2 == 37


def test_size_falls_with_the_square_root_of_the_time_left_in_eighths() -> None:
    work = sheet(book(close_ms=NOW_MS + 30_000), fade_ms=60_000, reduce_ms=20_000)
    shape.time_to_close(work)
    # sqrt(1/2) = .707: five eighths
    assert work.bid_e2 == work.ask_e2 == 625
    far = sheet(book(close_ms=NOW_MS + 60_000))
    assert shape.time_to_close(far) == ""
    assert far.bid_e2 == 1_000


def test_close_to_the_close_only_the_reducing_side_is_quoted() -> None:
    work = sheet(book(close_ms=NOW_MS + 20_000), position(500))
    shape.time_to_close(work)
    shape.reduce_only(work)
    assert work.bid_reason is not None
    assert work.bid_reason[0] == Reason.CLOSING_SOON
    assert (work.ask_reason, work.ask_e2) == (None, 500)


def test_a_size_is_rounded_down_to_its_step_and_silent_below_its_minimum() -> None:
    work = sheet(size_step_e2=100, size_e2_min=200)
    work.bid_e2, work.ask_e2 = 299, 199
    shape.size(work)
    assert (work.bid_reason, work.bid_e2) == (None, 200)
    assert work.ask_reason is not None
    assert work.ask_reason[0] == Reason.SIZE_BELOW_MINIMUM


def test_a_size_of_zero_means_zero() -> None:
    work = sheet(size_e2=0, size_e2_min=0)
    shape.caps(work)
    shape.size(work)
    assert work.is_silent

"""Laws of the maker's prices over random books, positions and grids."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from libs.common.domain.grid import PriceGrid
from libs.common.domain.side import Side
from libs.common.messages.execution import PositionV1
from libs.common.messages.market import BookV1
from libs.common.messages.target import TargetV1
from services.strategy.core import group, shape, width
from services.strategy.core.pipeline import decide
from services.strategy.core.work import expit, logit
from tests.support.book_strategies import STEPS, books, positions
from tests.support.market_builders import bands, book, position
from tests.support.strategy_builders import plan, sheet


def _price(target: TargetV1, side: Side) -> int | None:
    return next((quote.price_e4 for quote in target.quotes if quote.side is side), None)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.sampled_from(STEPS),
    bid=st.floats(-50, 10_050, allow_nan=False),
    spread=st.floats(0, 500, allow_nan=False),
)
def test_rounding_is_outward_by_less_than_a_tick(
    steps: tuple[tuple[int, int, int], ...], bid: float, spread: float
) -> None:
    grid = PriceGrid.of(bands(steps))
    low, high = grid.ceil_to_tick(1), grid.floor_to_tick(9_999)
    assert low is not None
    assert high is not None
    work = sheet(book(((low, 100),), ((high, 100),), steps=steps))
    work.bid_e4, work.ask_e4 = bid, bid + spread
    shape.snap(work)
    if work.bid_reason is None:
        assert work.bid_e4 <= bid + 1e-9 or work.bid_e4 < high
        assert grid.is_on_grid(int(work.bid_e4))
    if work.ask_reason is None:
        assert work.ask_e4 >= min(bid + spread, high)
        assert grid.is_on_grid(int(work.ask_e4))
    if work.bid_reason is None and work.ask_reason is None:
        assert work.bid_e4 < work.ask_e4


@settings(max_examples=150, deadline=None)
@given(seen=books(), short=st.integers(-4_000, 4_000), more=st.integers(1, 4_000))
def test_more_inventory_never_raises_a_quote(seen: BookV1, short: int, more: int) -> None:
    chosen = plan(inventory_e2_max=10**9, gamma=0.01)
    less = decide(seen, position(short), chosen)
    longer = decide(seen, position(short + more), chosen)
    for side in Side:
        before, after = _price(less, side), _price(longer, side)
        if before is not None and after is not None:
            assert after <= before


@settings(max_examples=150, deadline=None)
@given(seen=books(), held=positions())
def test_the_quote_surrounds_the_reservation_price_by_at_least_each_floor(
    seen: BookV1, held: PositionV1
) -> None:
    work = sheet(seen, held, alpha=0.02)
    width.inventory_skew(work)
    for stage in (width.model_width, width.adverse_floor, width.fee_floor, width.tick_floor):
        stage(work)
    centre = work.reservation_e4
    adverse_x = math.log(1.02 / 0.98)
    x = logit(centre / 10_000)
    least = max(width.fee_half_width_e4(work), 0.5 * work.tick_e4)
    assert centre - work.bid_e4 >= least - 1e-6
    assert work.ask_e4 - centre >= least - 1e-6
    assert work.bid_e4 <= 10_000 * expit(x - adverse_x) + 1e-6
    assert work.ask_e4 >= 10_000 * expit(x + adverse_x) - 1e-6


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(1e-6, 1 - 1e-6), min_size=2, max_size=30))
def test_the_projection_keeps_the_order_and_sums_to_one(ps: list[float]) -> None:
    xs = [logit(p) for p in ps]
    shift = group.common_shift(xs)
    found = [expit(x + shift) for x in xs]
    assert math.isclose(math.fsum(found), 1.0, abs_tol=1e-6)
    for (a, b), (fa, fb) in zip(pairwise(ps), pairwise(found), strict=True):
        assert (a <= b) == (fa <= fb) or math.isclose(fa, fb)


@settings(max_examples=100, deadline=None)
@given(seen=books(), held=positions(), minimum=st.integers(0, 500))
def test_min_spread_silences_exactly_the_narrower_markets(
    seen: BookV1, held: PositionV1, minimum: int
) -> None:
    without = decide(seen, held, plan(inventory_e2_max=10**9))
    with_it = decide(seen, held, plan(inventory_e2_max=10**9, min_spread_e4=minimum))
    assume(without.quotes)
    own = {(order.side, order.price_e4) for order in held.resting}
    assume(
        not any((Side.BID, p) in own for p, _ in seen.bids)
        and not any((Side.ASK, p) in own for p, _ in seen.asks)
    )
    is_wide = seen.asks[0][0] - seen.bids[0][0] >= minimum
    assert bool(with_it.quotes) == is_wide

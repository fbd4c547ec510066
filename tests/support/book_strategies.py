"""Hypothesis strategies: books on any grid, positions, and what the operator may have set."""

from __future__ import annotations

from hypothesis import strategies as st

from libs.common.domain.grid import PriceGrid
from libs.common.domain.side import Side
from libs.common.messages.execution import PositionV1
from libs.common.messages.market import BookV1, FeeTermsV1
from tests.support.market_builders import (
    CENT,
    FINEST,
    NOW_MS,
    TAPERED,
    TENTH,
    bands,
    book,
    features,
    position,
    sibling,
)

STEPS = (
    CENT,
    TENTH,
    FINEST,
    TAPERED,
    ((0, 10_000, 50),),
    ((0, 100, 1), (100, 9_900, 10), (9_900, 10_000, 1)),
)
_FEES = ("quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees", "flat")


@st.composite
def books(draw: st.DrawFn, *, two_sided: bool = True) -> BookV1:
    """A sound book: on its grid, not crossed; one side may be empty unless two-sided."""
    steps = draw(st.sampled_from(STEPS))
    grid = PriceGrid.of(bands(steps))
    prices = draw(st.lists(st.integers(1, 9_999), min_size=2, max_size=12, unique=True))
    on_grid = sorted({int(tick) for p in prices if (tick := grid.floor_to_tick(p)) is not None})
    if len(on_grid) < 2:
        on_grid = [100, 9_900]
    cut = draw(st.integers(1, len(on_grid) - 1))
    sizes = st.integers(1, 500_000)
    bids = tuple((p, draw(sizes)) for p in reversed(on_grid[:cut]))
    asks = tuple((p, draw(sizes)) for p in on_grid[cut:])
    if not two_sided:
        empty = draw(st.sampled_from(("none", "bids", "asks", "both")))
        bids = () if empty in ("bids", "both") else bids
        asks = () if empty in ("asks", "both") else asks
    seen = None
    if bids and asks:
        mid = (bids[0][0] + asks[0][0]) / 2
        drift = draw(st.floats(-300, 300))
        seen = features(mid, micro_e4=mid + drift, variance_e8_s=draw(st.floats(0, 1e8)))
    siblings = tuple(
        sibling(f"S{n}", bid, None if bid is None else min(9_999, bid + 100))
        for n, bid in enumerate(draw(st.lists(st.one_of(st.none(), st.integers(1, 9_000)), max_size=4)))
    )
    return book(
        bids,
        asks,
        steps=steps,
        features=seen,
        siblings=siblings,
        fee=FeeTermsV1(
            fee_type=draw(st.sampled_from(_FEES)), multiplier_e4=draw(st.sampled_from((0, 5_000, 10_000)))
        ),
        close_ms=NOW_MS + draw(st.integers(6_000, 10_000_000)),
    )


@st.composite
def positions(draw: st.DrawFn) -> PositionV1:
    """A position with a few resting orders, some where the book has nothing."""
    resting = draw(
        st.lists(
            st.tuples(st.sampled_from(list(Side)), st.integers(1, 9_999), st.integers(1, 50_000)), max_size=4
        )
    )
    return position(draw(st.integers(-20_000, 20_000)), tuple(resting))

"""Worst cases against brute force: every outcome, every subset of fills."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.ledger import Position
from libs.common.domain.side import Side
from services.riskguard.core.exposure import Holding, RestingOrder, exposures

orders = st.builds(
    RestingOrder,
    side=st.sampled_from(Side),
    price_e4=st.integers(1, 9_999),
    qty_e2=st.integers(1, 500),
)


@st.composite
def holdings(draw: st.DrawFn, *, exclusive: bool, count_max: int) -> list[Holding]:
    count = draw(st.integers(1, count_max))
    found = []
    for n in range(count):
        qty = draw(st.integers(-500, 500))
        cost = abs(qty) * draw(st.integers(1, 9_999))
        resting = tuple(draw(st.lists(orders, max_size=2)))
        found.append(Holding(f"M{n}", "E", exclusive, ((qty, cost),), resting))
    return found


def result_e6(holding: Holding, filled: tuple[RestingOrder, ...], *, is_yes: bool) -> int:
    """Return what the market ends with, by the ledger and not by a formula."""
    ((qty, cost),) = holding.positions
    position = Position(qty_e2=qty, cost_e6=cost)
    for order in filled:
        position.apply_fill(order.side, order.price_e4, order.qty_e2, 0)
    position.apply_settlement(position.settlement_value_e6(10_000 if is_yes else 0), 0)
    return position.realised_e6


def worst_by_force(found: list[Holding], states: list[tuple[bool, ...]]) -> int:
    worst = 0
    for state in states:
        total = 0
        for holding, is_yes in zip(found, state, strict=True):
            subsets = itertools.chain.from_iterable(
                itertools.combinations(holding.orders, size) for size in range(len(holding.orders) + 1)
            )
            total += min(result_e6(holding, subset, is_yes=is_yes) for subset in subsets)
        worst = max(worst, -total)
    return worst


@given(holdings(exclusive=True, count_max=8))
@settings(max_examples=60, deadline=None)
def test_an_exclusive_event_loses_at_most_its_worst_state(found: list[Holding]) -> None:
    count = len(found)
    states = [tuple(i == winner for i in range(count)) for winner in range(count + 1)]
    assert exposures(found).events["E"] == worst_by_force(found, states)


@given(holdings(exclusive=False, count_max=4))
@settings(max_examples=60, deadline=None)
def test_outcomes_that_do_not_exclude_each_other_may_all_lose(found: list[Holding]) -> None:
    states = list(itertools.product((False, True), repeat=len(found)))
    assert exposures(found).events["E"] == worst_by_force(found, states)


@given(
    st.lists(
        st.tuples(st.sampled_from("ST"), st.booleans(), holdings(exclusive=True, count_max=3)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=60, deadline=None)
def test_a_series_loses_what_the_worst_states_of_its_events_lose_together(
    drawn: list[tuple[str, bool, list[Holding]]],
) -> None:
    events = {
        f"E{at}": (
            series,
            exclusive,
            [replace(h, event=f"E{at}", series=series, is_exclusive=exclusive) for h in held],
        )
        for at, (series, exclusive, held) in enumerate(drawn)
    }
    expected: dict[str, int] = {}
    for series, exclusive, held in events.values():
        count = len(held)
        if exclusive:
            states = [tuple(i == winner for i in range(count)) for winner in range(count + 1)]
        else:
            states = list(itertools.product((False, True), repeat=count))
        expected[series] = expected.get(series, 0) + worst_by_force(held, states)
    found = exposures(holding for _, _, held in events.values() for holding in held)
    assert dict(found.series) == expected
    assert sum(found.series.values()) == found.account_e6


@given(holdings(exclusive=True, count_max=4))
def test_an_event_never_risks_more_than_its_markets_together(found: list[Holding]) -> None:
    worst = exposures(found)
    assert worst.events["E"] <= sum(worst.markets.values())
    assert worst.account_e6 == worst.events["E"]


@given(holdings(exclusive=False, count_max=1), st.integers(-500, 500))
def test_a_second_story_about_a_position_only_adds_risk(found: list[Holding], other: int) -> None:
    (holding,) = found
    told_twice = Holding(
        holding.market, "E", False, (*holding.positions, (other, abs(other) * 5_000)), holding.orders
    )
    assert exposures([told_twice]).account_e6 >= exposures(found).account_e6

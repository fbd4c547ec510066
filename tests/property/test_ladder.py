"""The ladder against a list that only remembers."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libs.common.domain.side import Side
from libs.common.runtime.errors import BookCorrupt
from services.marketdata.core.ladder import Ladder

_PRICES = st.one_of(st.integers(1, 9_999), st.sampled_from([4_900, 5_000, 5_001, 5_010]))


class LadderAgainstHistory(RuleBasedStateMachine):
    """The ladder always agrees with a list that just remembers every change."""

    @initialize(side=st.sampled_from(list(Side)))
    def begin(self, side: Side) -> None:
        self.side = side
        self.ladder = Ladder(side)
        self.history: list[tuple[int, int]] = []

    def resting(self, price_e4: int) -> int:
        return sum(change for price, change in self.history if price == price_e4)

    def levels(self) -> list[tuple[int, int]]:
        prices = {price for price, _ in self.history if self.resting(price) > 0}
        return [(p, self.resting(p)) for p in sorted(prices, reverse=self.side is Side.BID)]

    @rule(price_e4=_PRICES, change_e2=st.integers(-500, 500))
    def apply(self, price_e4: int, change_e2: int) -> None:
        before = self.resting(price_e4)
        try:
            after = self.ladder.apply(price_e4, change_e2)
        except BookCorrupt:
            assert before + change_e2 < 0
        else:
            assert after == before + change_e2
            self.history.append((price_e4, change_e2))

    @rule()
    def empty_the_best_level(self) -> None:
        best = self.ladder.best()
        if best is not None:
            change = -self.resting(best)
            assert self.ladder.apply(best, change) == 0
            self.history.append((best, change))

    @rule(levels=st.dictionaries(_PRICES, st.integers(0, 900), max_size=30))
    def take_a_snapshot(self, levels: dict[int, int]) -> None:
        self.ladder.replace(levels.items())
        self.history = list(levels.items())

    @invariant()
    def best_price_agrees(self) -> None:
        resting = {price for price, _ in self.history if self.resting(price) > 0}
        best = (max if self.side is Side.BID else min)(resting, default=None)
        assert self.ladder.best() == best

    @invariant()
    def levels_and_total_agree(self) -> None:
        levels = self.levels()
        assert list(self.ladder.top(1_000)) == levels
        assert list(self.ladder.top(3)) == levels[:3]
        assert self.ladder.total_e2 == sum(qty for _, qty in levels)
        assert len(self.ladder) == len(levels)

    @invariant()
    def everything_shown_is_within(self) -> None:
        for price, _ in self.levels()[:3]:
            assert self.ladder.is_within(price, 3)


LadderAgainstHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLadderAgainstHistory = LadderAgainstHistory.TestCase


@pytest.mark.parametrize("levels", [[(0, 1)], [(10_000, 1)], [(5_000, -1)], [(5_000, 1), (5_000, 2)]])
def test_a_snapshot_that_contradicts_itself_is_refused(levels: list[tuple[int, int]]) -> None:
    with pytest.raises(BookCorrupt):
        Ladder(Side.BID).replace(levels)


@pytest.mark.parametrize("price_e4", [-1, 0, 10_000, 12_345])
def test_a_level_outside_the_dollar_is_refused(price_e4: int) -> None:
    ladder = Ladder(Side.ASK)
    with pytest.raises(BookCorrupt):
        ladder.apply(price_e4, 100)
    assert ladder.best() is None
    assert ladder.total_e2 == 0

from __future__ import annotations

import math

import pytest

from libs.common.domain.reasons import Reason
from services.strategy.core import group
from services.strategy.core.work import expit, logit
from tests.support.market_builders import book, sibling
from tests.support.strategy_builders import sheet


def test_the_projection_of_the_worked_example() -> None:
    """(.50, .30, .15, .12) becomes (.474, .279, .137, .110) (strategy.md 5.1.4)."""
    xs = [logit(p) for p in (0.50, 0.30, 0.15, 0.12)]
    shift = group.common_shift(xs)
    found = [expit(x + shift) for x in xs]
    assert [round(p, 3) for p in found] == [0.474, 0.279, 0.137, 0.110]
    assert math.fsum(found) == pytest.approx(1.0, abs=1e-11)


@pytest.mark.parametrize("ps", [(0.999, 0.999), (0.001, 0.001), (0.9999, 0.0001, 0.5), (0.5,) * 40])
def test_the_projection_sums_to_one_whatever_it_begins_with(ps: tuple[float, ...]) -> None:
    xs = [logit(p) for p in ps]
    shift = group.common_shift(xs)
    assert math.fsum(expit(x + shift) for x in xs) == pytest.approx(1.0, abs=1e-9)


def test_a_sum_above_one_is_projected() -> None:
    seen = book(siblings=(sibling("B", 2_900, 3_100), sibling("C", 1_400, 1_600), sibling("D", 1_100, 1_300)))
    work = sheet(seen)
    group.group_coherence(work)
    assert work.bid_e4 == work.ask_e4 == pytest.approx(4_740, abs=5)


def test_a_sum_below_one_proves_nothing_unless_exhaustive() -> None:
    seen = book(siblings=(sibling("B", 1_900, 2_100),))
    work = sheet(seen)
    group.group_coherence(work)
    assert work.bid_e4 == 5_000
    whole = sheet(seen, is_exhaustive=True)
    group.group_coherence(whole)
    assert whole.bid_e4 > 5_000


def test_a_sibling_with_one_side_only_understates_the_sum() -> None:
    seen = book(siblings=(sibling("B", None, 9_000), sibling("C", 4_000, None)))
    work = sheet(seen, is_exhaustive=True)
    group.group_coherence(work)
    assert work.bid_e4 == 5_000


def test_our_bid_keeps_the_sum_of_displayed_bids_at_one() -> None:
    work = sheet(book(siblings=(sibling("B", 4_000, 4_200), sibling("C", 1_500, None))))
    work.bid_e4 = 4_800.0
    assert group.sum_constraints(work) == Reason.EVENT_INCOHERENT
    assert work.bid_e4 == 4_500
    over = sheet(book(siblings=(sibling("B", 10_000, None),)))
    group.sum_constraints(over)
    assert over.bid_reason is not None
    assert over.bid_reason[0] == Reason.EVENT_INCOHERENT


def test_our_ask_keeps_the_sum_of_exhaustive_asks_at_one() -> None:
    seen = book(siblings=(sibling("B", 3_000, 4_000),))
    work = sheet(seen, is_exhaustive=True)
    work.ask_e4 = 5_500.0
    group.sum_constraints(work)
    assert work.ask_e4 == 6_000
    loose = sheet(seen)
    loose.ask_e4 = 5_500.0
    group.sum_constraints(loose)
    assert loose.ask_e4 == 5_500

from __future__ import annotations

import math

import pytest

from libs.common.messages.market import FeeTermsV1
from services.strategy.core import width
from services.strategy.core.work import expit, logit
from tests.support.market_builders import NOW_MS, book, features, position
from tests.support.strategy_builders import sheet


def test_the_skew_of_a_position_held_to_settlement_is_exact() -> None:
    """R = S(logit .5 - .002 * 100) = .4501660 (strategy.md 5.2): all of p (1 - p) still lies ahead."""
    seen = book(close_ms=NOW_MS + 60_000, features=features(5_000, variance_e8_s=1e9))
    work = sheet(seen, position(10_000), gamma=0.002, holding_s=60.0)
    width.inventory_skew(work)
    assert work.bid_e4 / 10_000 == pytest.approx(0.4501660, abs=1e-7)
    assert work.reservation_e4 == work.bid_e4


def test_the_skew_is_small_where_inventory_recycles() -> None:
    # variance 2500 E8/s over 60 s is 0.0015, of p (1 - p) = 0.25: a share of 0.006
    seen = book(features=features(5_000, variance_e8_s=2_500.0))
    work = sheet(seen, position(10_000), gamma=0.002, holding_s=60.0, variance_prior=0.0)
    width.inventory_skew(work)
    assert work.x == pytest.approx(-0.002 * 100 * 0.006)


def test_no_position_no_skew() -> None:
    work = sheet()
    width.inventory_skew(work)
    assert work.bid_e4 == 5_000


def test_the_variance_never_falls_below_its_part_of_what_must_still_happen() -> None:
    work = sheet(book(close_ms=NOW_MS + 600_000), variance_prior=0.1, holding_s=60.0)
    # 0.1 * 0.25 / 600 s * 60 s
    assert width.quadratic_variation(work, 0.5) == pytest.approx(0.0025)


def test_an_early_close_shortens_the_time_that_is_counted_on() -> None:
    work = sheet(book(close_ms=NOW_MS + 3_600_000), early_close_per_hour=2.0)
    assert width.time_left_s(work) == pytest.approx((1 - math.exp(-2)) / 2 * 3_600)


def test_the_model_width_of_the_worked_example() -> None:
    """Gamma .1, variance .02, k 30: h about .034, 0.86 cents each side at one half."""
    # V / (p (1 - p))^2 = .02 in log-odds squared, so V = .02 * .0625 = .00125 over 60 s.
    seen = book(features=features(5_000, variance_e8_s=0.00125 / 60 * 1e8))
    work = sheet(seen, width_gamma=0.1, width_k=30.0, holding_s=60.0, variance_prior=0.0)
    width.model_width(work)
    half_x = 0.5 * 0.1 * 0.02 + math.log(1 + 0.1 / 30) / 0.1
    assert half_x == pytest.approx(0.0343, abs=1e-4)
    assert work.bid_e4 == pytest.approx(10_000 * expit(-half_x))
    assert 5_000 - work.bid_e4 == pytest.approx(85.7, abs=0.5)
    assert work.ask_e4 == pytest.approx(10_000 - work.bid_e4)


def test_the_adverse_selection_floor_of_the_worked_example() -> None:
    """Alpha .57 at 50 cents gives 21.5 and 78.5."""
    work = sheet(alpha=0.57)
    width.adverse_floor(work)
    assert (round(work.bid_e4), round(work.ask_e4)) == (2_150, 7_850)


def test_a_floor_never_narrows() -> None:
    work = sheet(alpha=0.001)
    work.bid_e4, work.ask_e4 = 4_000.0, 6_000.0
    width.adverse_floor(work)
    width.tick_floor(work)
    width.fee_floor(work)
    assert (work.bid_e4, work.ask_e4) == (4_000, 6_000)


def test_the_fee_floor_of_maker_fees_at_one_half() -> None:
    """A round trip of maker fees costs 0.875 cents: 0.4375 a side (strategy.md 5.5)."""
    terms = FeeTermsV1(fee_type="quadratic_with_maker_fees", multiplier_e4=10_000)
    assert width.fee_half_width_e4(sheet(book(fee=terms))) == pytest.approx(43.75)
    assert width.fee_half_width_e4(sheet(book(fee=terms), taker_exit_share=1.0)) == pytest.approx(
        (0.4375 + 1.75) / 2 * 100
    )


def test_there_is_no_fee_floor_where_makers_trade_free_or_a_waiver_holds() -> None:
    assert width.fee_half_width_e4(sheet()) == 0
    waived = FeeTermsV1(fee_type="quadratic_with_maker_fees", multiplier_e4=0)
    assert width.fee_half_width_e4(sheet(book(fee=waived))) == 0


@pytest.mark.parametrize(("steps", "half"), [(((0, 10_000, 100),), 50), (((0, 10_000, 1),), 0.5)])
def test_the_tick_floor_follows_the_markets_own_tick(
    steps: tuple[tuple[int, int, int], ...], half: float
) -> None:
    work = sheet(book(steps=steps), half_width_ticks_min=0.5)
    width.tick_floor(work)
    assert (work.bid_e4, work.ask_e4) == (5_000 - half, 5_000 + half)


def test_age_widens_in_proportion_up_to_its_limit() -> None:
    work = sheet(book(as_of_ms=NOW_MS + 2_000), age_widen_per_s=0.25, age_widen_max=1.0)
    work.bid_e4, work.ask_e4 = 4_900.0, 5_100.0
    width.age_factor(work)
    assert (work.bid_e4, work.ask_e4) == (4_850, 5_150)
    old = sheet(book(as_of_ms=NOW_MS + 60_000), age_widen_per_s=0.25, age_widen_max=1.0)
    old.bid_e4, old.ask_e4 = 4_900.0, 5_100.0
    width.age_factor(old)
    assert (old.bid_e4, old.ask_e4) == (4_800, 5_200)


def test_log_odds_and_back() -> None:
    assert expit(logit(0.3)) == pytest.approx(0.3)
    assert expit(-800.0) == 0.0
    assert math.isfinite(logit(0.0))

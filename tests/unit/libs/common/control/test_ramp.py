"""Sizes after a resume, and quantities under a size factor."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libs.common.control.ramp import FULL_E4, Ramp, scaled_e2

TEN = Ramp(start_e4=1_000, minutes=10.0)
MINUTE = 60_000


def test_ramp_begins_at_a_tenth_and_is_whole_when_its_time_is_over() -> None:
    told = [TEN.scale_e4(1, 1 + minutes * MINUTE) for minutes in range(11)]
    assert told[0] == 1_000
    assert told == sorted(told)
    assert max(told[:10]) < told[10] == FULL_E4
    assert TEN.scale_e4(1, MINUTE * 10) < FULL_E4


def test_no_resume_no_ramp_and_a_clock_that_was_set_back_begins_it_anew() -> None:
    assert TEN.scale_e4(0, 5) == FULL_E4
    assert Ramp(start_e4=1_000, minutes=0).scale_e4(5, 5) == FULL_E4
    assert TEN.scale_e4(50 * MINUTE, 1) == 1_000


@given(st.integers(0, 10**6), st.integers(0, 20_000))
def test_scaled_quantity_is_never_more_and_whole_contracts_stay_whole(qty_e2: int, scale_e4: int) -> None:
    scaled = scaled_e2(qty_e2, scale_e4)
    assert 0 <= scaled <= qty_e2
    assert scaled * FULL_E4 <= qty_e2 * max(scale_e4, 0) or scale_e4 >= FULL_E4
    if qty_e2 % 100 == 0:
        assert scaled % 100 == 0


def test_zero_stays_zero_and_too_small_becomes_zero() -> None:
    assert [scaled_e2(qty, 1_000) for qty in (0, 100, 900, 1_000, 1_250)] == [0, 0, 0, 100, 125]

"""Rates by the venue's time: what is late, what is over, and clocks that lie."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.riskguard.core.conduct.rate import Rate, Tally
from services.riskguard.core.conduct.venue_age import VenueAge
from tests.support.truth_builders import NOW_MS, S

MINUTE = 60 * S


def lags(*lags_s: float, ahead_s: float = 0) -> list[float]:
    """Return the ages of news that come so late, by a clock that is ahead of the venue's."""
    age, ages = VenueAge(), list[float]()
    for i, lag_s in enumerate(lags_s):
        now_ns, venue_ms = i * S, NOW_MS + i * 1_000
        age.on_tick(now_ns, venue_ms + int(ahead_s * 1_000))
        ages.append(age.of(venue_ms - int(lag_s * 1_000), now_ns) / S)
    return ages


def test_what_comes_late_is_old() -> None:
    assert lags(0, 300, 0.5) == [0, 300, 0.5]


def test_a_clock_of_ours_that_is_ahead_makes_nothing_older() -> None:
    assert lags(0, 300, 0, ahead_s=3_600) == [0, 300, 0]


def test_what_seems_to_come_from_the_future_is_new_and_teaches_nothing() -> None:
    assert lags(0, -(10**6), 0, 300) == [0, 0, 0, 300]
    assert lags(0, 300, ahead_s=-3_600) == [0, 0]


def test_what_has_no_stamp_is_new_and_so_is_everything_before_the_first_tick() -> None:
    age = VenueAge()
    assert age.of(NOW_MS, 0) == 0
    age.on_tick(0, NOW_MS)
    assert age.of(0, 0) == 0


def test_the_wall_clock_goes_on_between_two_ticks() -> None:
    age = VenueAge()
    age.on_tick(0, NOW_MS)
    age.of(NOW_MS, 0)
    assert age.of(NOW_MS, 4 * S) == 4 * S


@given(
    st.lists(
        st.tuples(
            st.integers(0, 200 * S),
            st.integers(0, 90 * S),
            st.integers(1, 1_000),
        ),
        max_size=60,
    )
)
def test_a_rate_is_the_sum_of_what_happened_within_its_time(steps: list[tuple[int, int, int]]) -> None:
    """Property: whatever the order and lateness, the total is that of the plain definition."""
    rate, now_ns, happened = Rate(MINUTE), 0, list[tuple[int, int]]()
    for wait_ns, age_ns, amount in steps:
        now_ns += wait_ns
        rate.add(now_ns, age_ns, amount)
        happened.append((now_ns - age_ns, amount))
        assert rate.total(now_ns) == sum(a for at_ns, a in happened if at_ns > now_ns - MINUTE)
    assert rate.total(now_ns + MINUTE) == 0
    assert not rate._ends


def test_a_tally_forgets_by_steps_and_holds_few() -> None:
    tally = Tally(600 * S, 10 * S)
    for second in range(2_000):
        tally.add(second * S)
    assert tally.total(1_999 * S) == 600
    assert len(tally._counts) == 60
    assert tally.total(2_600 * S) == 0

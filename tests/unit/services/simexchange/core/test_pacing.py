from __future__ import annotations

from services.simexchange.core.pacing import MS, TapeClock

START_NS = 1_700_000_000 * 1_000_000_000


def test_speed_ten_plays_ten_recorded_seconds_in_one() -> None:
    clock = TapeClock(10, START_NS)
    assert clock.due_ns(10_000) == START_NS + 1_000 * MS


def test_a_small_lag_is_caught_up_and_moves_nothing() -> None:
    clock = TapeClock(10, START_NS)
    clock.play(1_000, START_NS + 300 * MS)
    assert clock.slip_ns == 0


def test_a_large_lag_moves_everything_still_to_come() -> None:
    clock = TapeClock(10, START_NS, lag_ns_max=250 * MS)
    clock.play(1_000, START_NS + 1_100 * MS)
    assert clock.slip_ns == 750 * MS
    assert clock.due_ns(2_000) == START_NS + 200 * MS + 750 * MS


def test_effective_speed_is_what_was_played_over_what_passed() -> None:
    clock = TapeClock(10, START_NS)
    clock.play(10_000, START_NS + 2_000 * MS)
    assert clock.effective_speed(START_NS + 2_000 * MS) == 5

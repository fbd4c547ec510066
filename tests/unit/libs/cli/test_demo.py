from __future__ import annotations

from libs.cli.demo import Progress, is_done


def test_the_slowest_source_tells_speed_and_place() -> None:
    answer = {
        "sources": [
            {"tape_ms": 90_000, "effective_speed": 9.5, "is_over": False},
            {"tape_ms": 80_000, "effective_speed": 8.0, "is_over": True},
        ]
    }

    assert Progress.of(answer) == Progress(effective_speed=8.0, tape_s=80.0, is_over=False)


def test_a_silent_venue_is_not_over() -> None:
    assert Progress.of(None) == Progress()
    assert not Progress.of({"sources": []}).is_over


def test_synthetic_flow_ends_with_the_time_and_never_without_one() -> None:
    assert not is_done(Progress(), 59.0, 60.0, 1.0, is_tape=False)
    assert is_done(Progress(), 60.0, 60.0, 1.0, is_tape=False)
    assert not is_done(Progress(), 1e6, None, 1.0, is_tape=False)


def test_a_tape_that_is_over_ends_the_demo_early_or_without_a_duration() -> None:
    over = Progress(tape_s=900.0, is_over=True)

    assert is_done(over, 10.0, 100.0, 10.0, is_tape=True)
    assert is_done(over, 10.0, None, 10.0, is_tape=True)


def test_a_tape_that_was_slowed_plays_on_to_its_asked_length() -> None:
    assert not is_done(Progress(tape_s=700.0), 100.0, 100.0, 10.0, is_tape=True)
    assert is_done(Progress(tape_s=1000.0), 130.0, 100.0, 10.0, is_tape=True)


def test_no_tape_plays_longer_than_three_times_the_asked_time() -> None:
    assert is_done(Progress(tape_s=10.0), 300.0, 100.0, 10.0, is_tape=True)

"""Five minutes of the budget bench: planner and mirror against the venue's own bucket rules."""

from __future__ import annotations

from bench.budget import measure, missed


def test_five_minutes_at_full_use_meet_every_bound_of_the_day() -> None:
    """No refusal, no cancel that waits, fewer calls, more quotes: what `make bench-budget` asks of a day."""
    figures = measure(300 / 3_600, stretches=1)
    assert missed(figures) == [], figures

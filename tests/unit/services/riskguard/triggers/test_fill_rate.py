"""`fill_rate`: too many fills within a minute."""

from __future__ import annotations

from services.riskguard.core.conduct.view import ConductView
from tests.support.conduct_builders import Seen, fired


def test_it_fires_above_its_limit_and_latches() -> None:
    assert fired("fill_rate", ConductView(fills_last_minute=60), fills_per_minute=60) is None
    over = fired("fill_rate", ConductView(fills_last_minute=61), fills_per_minute=60)
    assert over is not None
    assert (over.limit, over.was, over.is_latching) == (60, 61, True)


def test_fills_count_for_a_minute_of_the_venues_time() -> None:
    seen = Seen()
    seen.fill()
    seen.wait(30)
    seen.fill(age_s=20)
    assert seen.view().fills_last_minute == 2
    seen.wait(29.9)
    assert seen.view().fills_last_minute == 2
    seen.wait(0.1)
    assert seen.view().fills_last_minute == 1
    seen.wait(10)
    assert seen.view().fills_last_minute == 0


def test_what_a_reading_tells_late_is_no_storm() -> None:
    """A feed that was gone for ten minutes: the listing tells all of it at once."""
    seen = Seen()
    seen.fill()
    seen.wait(600)
    for age_s in range(599, 0, -1):
        seen.fill(age_s=age_s)
    assert seen.view().fills_last_minute == 59


def test_what_the_account_had_before_we_looked_is_no_storm() -> None:
    seen = Seen(is_read=False)
    for _ in range(100):
        seen.fill()
    seen.reading()
    assert seen.view().fills_last_minute == 0
    seen.fill()
    assert fired("fill_rate", seen.view(), fills_per_minute=0) is not None

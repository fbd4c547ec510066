"""`rate_limited`: the venue refuses too much for lack of tokens."""

from __future__ import annotations

from services.riskguard.core.conduct.view import ConductView
from tests.support.conduct_builders import Seen, fired


def test_it_fires_above_its_limit_and_latches() -> None:
    at, over = ConductView(rate_limited_last_minute=20), ConductView(rate_limited_last_minute=21)
    assert fired("rate_limited", at, rate_limited_per_minute=20) is None
    told = fired("rate_limited", over, rate_limited_per_minute=20)
    assert told is not None
    assert (told.limit, told.was, told.is_latching) == (20, 21, True)


def test_writes_and_reads_of_the_executor_and_our_own_reads_add_up_for_a_minute() -> None:
    seen = Seen()
    seen.said(rate_limited=7, reads_rate_limited=1)
    seen.wait(1)
    seen.said(rate_limited=9, reads_rate_limited=2)
    seen.area.on_read_failed("VenueUnavailable: GET /x: too_many_requests", seen.now_ns)
    view = seen.view()
    assert (view.rate_limited_last_minute, view.api_errors_last_minute) == (4, 0)
    assert fired("rate_limited", view, rate_limited_per_minute=3) is not None
    seen.wait(60)
    assert seen.view().rate_limited_last_minute == 0

"""`api_error_rate`: too many requests to the venue fail, by number or by share."""

from __future__ import annotations

from services.riskguard.core.conduct.view import ConductView
from tests.support.conduct_builders import Seen, fired

NAME = "api_error_rate"


def calls(requests: int, errors: int) -> ConductView:
    return ConductView(api_requests_last_minute=requests, api_errors_last_minute=errors)


def test_it_fires_above_its_number_and_latches() -> None:
    assert fired(NAME, calls(10_000, 20), api_errors_per_minute=20) is None
    told = fired(NAME, calls(10_000, 21), api_errors_per_minute=20)
    assert told is not None
    assert (told.limit, told.was, told.is_latching) == (20, 21, True)


def test_it_fires_above_its_share_once_there_were_enough() -> None:
    narrow = {"api_error_share_e4": 1_000, "api_requests_min": 50}
    assert fired(NAME, calls(49, 49), **narrow) is None
    assert fired(NAME, calls(50, 5), **narrow) is None
    told = fired(NAME, calls(50, 6), **narrow)
    assert told is not None
    assert (told.limit, told.was, told.is_latching) == (1_000, 1_200, True)


def test_no_requests_are_no_share() -> None:
    assert fired(NAME, calls(0, 0), api_error_share_e4=0, api_requests_min=0) is None


def test_what_the_executors_counters_grew_by_counts_for_a_minute() -> None:
    seen = Seen()
    seen.said(api_requests=1_000, api_errors=500)
    seen.wait(1)
    before = seen.view()
    assert before.api_errors_last_minute == 0
    seen.said(api_requests=1_010, api_errors=504)
    view = seen.view()
    assert view.api_errors_last_minute == 4
    assert view.api_requests_last_minute == before.api_requests_last_minute + 10
    assert fired(NAME, view, api_errors_per_minute=3) is not None
    seen.wait(60)
    assert seen.view().api_errors_last_minute == 0


def test_a_restart_and_a_standby_count_by_themselves() -> None:
    seen = Seen()
    seen.said("a", api_errors=500)
    seen.said("b", api_errors=3)
    seen.said("a", api_errors=501)
    seen.said("b", api_errors=5)
    seen.said("b", api_errors=1)
    assert seen.view().api_errors_last_minute == 3


def test_a_word_after_a_minutes_silence_tells_no_rate() -> None:
    seen = Seen()
    seen.said(api_errors=0)
    seen.wait(60)
    seen.said(api_errors=1_000)
    assert seen.view().api_errors_last_minute == 0


def test_our_own_failed_readings_count_as_well_but_for_refusals_for_lack_of_tokens() -> None:
    seen = Seen()
    requests = seen.view().api_requests_last_minute
    seen.area.on_read_failed("VenueUnavailable: GET /x: timeout", seen.now_ns)
    seen.area.on_read_failed("VenueUnavailable: GET /x: too_many_requests", seen.now_ns)
    seen.reading()
    view = seen.view()
    assert view.api_errors_last_minute == 1
    assert view.api_requests_last_minute == requests + 3

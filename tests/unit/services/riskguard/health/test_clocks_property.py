"""A clock that is right is never called wrong, however answers and heartbeats travel."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libs.common.kalshi.server_clock import clock_bounds
from services.riskguard.core.health.clocks import EXCHANGE, Clocks
from services.simexchange.shell.date import DateHeader
from tests.support.guards import beat
from tests.support.truth_builders import MS, NOW_MS

S_MS = 1_000
WAYS_MS = st.integers(0, 8_000)
SKEWS_MS = st.integers(-60_000, 60_000)
ANSWERS = st.lists(st.tuples(st.integers(1, 3_000), WAYS_MS, st.floats(0, 1)), min_size=3, max_size=40)


@given(skew_ms=SKEWS_MS, answers=ANSWERS)
def test_what_is_said_of_the_exchanges_clock_is_never_more_than_is_so(
    skew_ms: int, answers: list[tuple[int, int, float]]
) -> None:
    clocks, date, at_ms = Clocks(), DateHeader(), NOW_MS
    date.offset_ns = skew_ms * MS
    for pause_ms, way_ms, where in answers:
        at_ms += pause_ms
        written_ns = (at_ms + int(way_ms * where)) * MS
        bounds = clock_bounds([date.line(written_ns)], at_ms * MS, (at_ms + way_ms) * MS)
        assert bounds is not None
        clocks.on_exchange_clock(bounds, 0)
    said_ms = clocks.skews_ms(0)[EXCHANGE]
    assert 0 <= said_ms <= skew_ms or skew_ms <= said_ms <= 0


@given(skew_ms=SKEWS_MS, ways_ms=st.lists(WAYS_MS, min_size=4, max_size=8))
def test_a_service_is_told_by_its_quickest_heartbeat(skew_ms: int, ways_ms: list[int]) -> None:
    clocks = Clocks()
    clocks.on_tick(0, NOW_MS)
    for counter, way_ms in enumerate(ways_ms, 1):
        sent_ms = counter * 500
        said = beat("strategy", counter, sent_ms=NOW_MS + sent_ms + skew_ms)
        clocks.on_beat(said, (sent_ms + way_ms) * MS)
    heard_ns = (len(ways_ms) * 500 + ways_ms[-1]) * MS
    assert clocks.skews_ms(heard_ns) == {"strategy/strategy-1": skew_ms - min(ways_ms)}


@given(st.lists(st.tuples(st.integers(50, 5_000), st.integers(-500, 500)), min_size=1, max_size=100))
def test_a_wall_clock_that_a_time_service_pulls_never_steps(moves: list[tuple[int, int]]) -> None:
    """At most 0.5 ms a second either way, over any stretch of ten seconds: 10 ms with both ends."""
    clocks, now_ms, wall_ns = Clocks(), 0, NOW_MS * MS
    for pause_ms, parts_per_million in moves:
        now_ms += pause_ms
        wall_ns += pause_ms * MS + pause_ms * parts_per_million
        clocks.on_tick(now_ms * MS, wall_ns // MS)
        assert abs(clocks.step_ms()) <= 10 + 1

"""The feed core against a plain dictionary over random feeds: snapshots, changes, gaps, silence."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.side import Side
from libs.common.kalshi.model import FeedEvent, FeedHeard, FeedStale
from libs.common.messages.market import BookV1
from services.marketdata.core.feed_core import FeedCore, FeedRules
from tests.support.market_builders import (
    MARKET,
    NOW_MS,
    delta,
    snapshot,
    venue_event,
    venue_market,
    venue_series,
)

MS = 1_000_000
_BIDS = st.dictionaries(st.integers(1, 4_000), st.integers(1, 900), max_size=30)
_ASKS = st.dictionaries(st.integers(6_000, 9_999), st.integers(1, 900), max_size=30)
_STEP = st.one_of(
    st.tuples(st.just("snapshot"), _BIDS, _ASKS),
    st.tuples(st.just("change"), st.integers(1, 3_999), st.integers(-500, 500)),
    st.tuples(st.just("change"), st.integers(6_001, 9_999), st.integers(-500, 500)),
    st.tuples(st.just("gap"), st.just(0), st.just(0)),
    st.tuples(st.just("wait"), st.integers(0, 40), st.just(0)),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(_STEP, max_size=60))
def test_every_published_book_is_one_that_the_venue_had(steps: list[tuple[str, object, object]]) -> None:
    """Either stale and empty, or exactly the venue's best twenty levels; sequences have no gap."""
    core = FeedCore(FeedRules(), "run-1")
    core.put_market(venue_market(), venue_event(), venue_series(), NOW_MS * MS)
    mono = 10_000 * MS
    model: dict[Side, dict[int, int]] | None = None
    sequence = 0
    for clock, (kind, first, second) in enumerate(steps, start=1):
        events: list[FeedEvent] = [FeedHeard(NOW_MS + (mono - 10_000 * MS) // MS)]
        if kind == "snapshot":
            assert isinstance(first, dict)
            assert isinstance(second, dict)
            model = {Side.BID: dict(first), Side.ASK: dict(second)}
            events.append(snapshot(tuple(first.items()), tuple(second.items()), clock=clock))
        elif kind == "change":
            assert isinstance(first, int)
            assert isinstance(second, int)
            side = Side.BID if first < 5_000 else Side.ASK
            events.append(delta(side, first, second, clock=clock))
            if model is not None:
                after = model[side].get(first, 0) + second
                if after < 0:
                    model = None  # corrupt: withdrawn until the next snapshot
                else:
                    model[side][first] = after
        elif kind == "gap":
            events.append(FeedStale((MARKET,), "gap"))
            model = None
        else:
            assert isinstance(first, int)
            mono += first * MS
        core.on_events(events, mono, NOW_MS * MS)
        for out in core.poll(mono + 60 * MS, NOW_MS * MS):
            if isinstance(out.message, BookV1):
                sequence += 1
                assert out.message.sequence == sequence
                _agrees(out.message, model)
        mono += 60 * MS


def _agrees(book: BookV1, model: dict[Side, dict[int, int]] | None) -> None:
    assert book.is_stale == (model is None)
    expected = model or {Side.BID: {}, Side.ASK: {}}
    bids = sorted(((p, q) for p, q in expected[Side.BID].items() if q), reverse=True)[:20]
    asks = sorted((p, q) for p, q in expected[Side.ASK].items() if q)[:20]
    assert list(book.bids) == bids
    assert list(book.asks) == asks
    assert (book.features is None) == (not bids or not asks)

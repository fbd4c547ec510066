"""A recorded quarter of an hour through marketdata and strategy, twice, and against plain arithmetic."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from libs.common.domain.side import Side
from libs.common.kalshi.model import BookDelta, BookSnapshot, FeedHeard
from libs.common.messages.base import WireDecoder, encode
from libs.common.messages.market import BookV1
from libs.common.messages.target import TargetV1
from services.marketdata.core.feed_core import FeedCore, FeedRules
from services.strategy.core.pipeline import decide
from tests.support.market_builders import position, venue_event, venue_market, venue_series
from tests.support.shared import requires_shared
from tests.support.strategy_builders import plan
from tests.support.tapes import tape_events

pytestmark = requires_shared
MARKET = "KXGOLD15M-26AUG101900-00"
MS = 1_000_000
EVERY = 1_000
# Levels, numbers and times only: floats may differ in the last bit between C libraries. Changes with the
# pace of publication (`ConflationRules`); anything else that changes it needs a reason.
STATE_HASH = "a3760f0d58ddcc91"


def _core(close_ms: int) -> FeedCore:
    core = FeedCore(FeedRules(), "20260810-224500-replay")
    market = venue_market(MARKET, event="KXGOLD15M-26AUG101900", open_ms=0, close_ms=close_ms)
    core.put_market(market, venue_event("KXGOLD15M-26AUG101900"), venue_series(), (close_ms - 1_000_000) * MS)
    return core


def _replay() -> Iterator[tuple[int, BookV1]]:
    """Yield each published book with the number of events before it."""
    core: FeedCore | None = None
    for number, (at_ms, event) in enumerate(tape_events(MARKET)):
        core = core or _core(at_ms + 900_000)
        core.on_events([event, FeedHeard(at_ms)], at_ms * MS, at_ms * MS)
        for out in core.poll(at_ms * MS, at_ms * MS):
            if isinstance(out.message, BookV1):
                yield number, out.message
    assert core is not None
    assert core.counters["books_corrupt"] == 0
    assert core.counters["gaps"] == 0


def test_the_book_of_a_tape_is_the_sum_of_its_changes() -> None:
    """At every thousandth event the core's book equals snapshot plus deltas, added up in dictionaries."""
    core: FeedCore | None = None
    levels: dict[Side, dict[int, int]] = {Side.BID: {}, Side.ASK: {}}
    checked = 0
    for number, (at_ms, event) in enumerate(tape_events(MARKET)):
        core = core or _core(at_ms + 900_000)
        core.on_events([event], at_ms * MS, at_ms * MS)
        if isinstance(event, BookSnapshot):
            levels = {Side.BID: dict(event.bids), Side.ASK: dict(event.asks)}
        elif isinstance(event, BookDelta):
            side = levels[event.side]
            side[event.price_e4] = side.get(event.price_e4, 0) + event.change_e2
        if number % EVERY == 0:
            book = core.book(MARKET)
            bids = sorted(((p, q) for p, q in levels[Side.BID].items() if q), reverse=True)
            asks = sorted((p, q) for p, q in levels[Side.ASK].items() if q)
            assert list(book.bids.top(1_000)) == bids
            assert list(book.asks.top(1_000)) == asks
            checked += 1
    assert checked > 10


def test_a_replay_repeats_its_state_and_its_decisions_to_the_byte() -> None:
    def run() -> tuple[str, str, int]:
        state, decisions = hashlib.sha256(), hashlib.sha256()
        quoted = 0
        held, chosen, decoder = position(300, market=MARKET), plan(), WireDecoder(BookV1)
        for _, book in _replay():
            for part in (book.sequence, book.bids, book.asks, book.as_of_ms, book.is_stale, book.state.value):
                state.update(repr(part).encode())
            target: TargetV1 = decide(decoder.decode(encode(book)), held, chosen)
            quoted += len(target.quotes)
            decisions.update(encode(target))
        return state.hexdigest(), decisions.hexdigest(), quoted

    first, second = run(), run()
    assert first == second
    assert first[2] > 1_000
    assert first[0][:16] == STATE_HASH


def test_every_book_of_a_tape_is_newer_than_the_one_before() -> None:
    last = None
    for _, book in _replay():
        if last is not None:
            assert book.sequence == last.sequence + 1
            assert book.as_of_ms >= last.as_of_ms
            assert book.origin_mono_ns >= last.origin_mono_ns
        last = book
    assert last is not None

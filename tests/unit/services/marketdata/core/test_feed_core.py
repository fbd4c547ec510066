from __future__ import annotations

from typing import Any

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import FeedClosed, FeedEvent, FeedHeard, FeedStale, Lifecycle
from libs.common.messages.market import BookV1, MarketState, MarketV1, SiblingV1, TopV1, TradeV1, WhaleV1
from services.marketdata.core.conflate import ConflationRules
from services.marketdata.core.feed_core import Discover, FeedCore, FeedRules, Outgoing, Resync
from services.marketdata.core.whale import WhaleRules
from tests.support.market_builders import (
    MARKET,
    NOW_MS,
    delta,
    snapshot,
    trade,
    venue_event,
    venue_market,
    venue_series,
)

MS = 1_000_000


class Driver:
    """A feed core with its two clocks, which start together and move together."""

    def __init__(self, rules: FeedRules | None = None) -> None:
        self.core = FeedCore(rules or FeedRules(), "run-1")
        self.mono_ns = 10_000 * MS

    @property
    def now_ns(self) -> int:
        return NOW_MS * MS + self.mono_ns - 10_000 * MS

    @property
    def now_ms(self) -> int:
        return self.now_ns // MS

    def follow(self, *names: str, **changes: Any) -> None:
        event = venue_event(is_mutually_exclusive=changes.pop("exclusive", False))
        for name in names or (MARKET,):
            self.core.put_market(venue_market(name, **changes), event, venue_series(), self.now_ns)

    def feed(self, *events: FeedEvent) -> list[Any]:
        return self.core.on_events(list(events), self.mono_ns, self.now_ns)

    def poll(self, after_ms: float = 0) -> list[Outgoing]:
        self.mono_ns += int(after_ms * MS)
        return self.core.poll(self.mono_ns, self.now_ns)

    def books(self, after_ms: float = 0) -> list[BookV1]:
        return [out.message for out in self.poll(after_ms) if isinstance(out.message, BookV1)]


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.follow()
    driver.feed(snapshot(), FeedHeard(NOW_MS))
    driver.poll(60)
    return driver


def test_a_book_is_stale_and_empty_before_its_snapshot() -> None:
    driver = Driver()
    driver.follow()
    (book,) = driver.books(60)
    assert book.is_stale
    assert book.bids == ()
    assert book.features is None
    assert book.sequence == 1


def test_a_snapshot_is_published_whole_at_once() -> None:
    driver = Driver()
    driver.follow()
    driver.books(60)
    driver.feed(snapshot(((4_900, 100), (4_800, 50)), ((5_100, 70),), clock=9), FeedHeard(NOW_MS + 5))
    books = driver.books(60)
    assert len(books) == 1
    book = books[0]
    assert (book.bids, book.asks, book.clock) == (((4_900, 100), (4_800, 50)), ((5_100, 70),), 9)
    assert not book.is_stale
    assert book.as_of_ms == NOW_MS + 5
    assert book.features is not None
    assert book.features.mid_e4 == 5_000


def test_a_change_leaves_immediately_when_quiet_with_the_arrival_of_its_frame(driver: Driver) -> None:
    driver.mono_ns += 100 * MS
    driver.feed(delta(Side.BID, 4_950, 500, venue_ms=NOW_MS + 150))
    (book,) = driver.books()
    assert book.bids[0] == (4_950, 500)
    assert book.origin_mono_ns == driver.mono_ns
    assert (book.venue_ms, book.as_of_ms) == (NOW_MS + 150, NOW_MS + 150)


def test_a_burst_is_conflated_and_loses_nothing_of_the_state() -> None:
    driver = Driver(FeedRules(conflation=ConflationRules(touch_burst=1)))
    driver.follow()
    driver.feed(snapshot(), FeedHeard(NOW_MS))
    driver.poll(60)
    driver.poll(100)
    driver.feed(delta(Side.BID, 4_901, 100))
    assert len(driver.books()) == 1
    first_ns = driver.mono_ns + MS
    driver.mono_ns = first_ns
    for step in range(50):
        driver.feed(delta(Side.BID, 4_902 + step, 100))
    assert driver.books() == []
    (book,) = driver.books(5)
    assert book.bids[0] == (4_951, 100)
    assert book.origin_mono_ns == first_ns
    assert len(book.bids) == 20


def test_sequences_have_no_gap_and_the_top_carries_the_books_number(driver: Driver) -> None:
    sequences, tops = [], []
    for step in range(20):
        driver.feed(delta(Side.BID, 4_910 + step, 100))
        for out in driver.poll(10):
            if isinstance(out.message, BookV1):
                sequences.append(out.message.sequence)
            elif isinstance(out.message, TopV1):
                tops.append((out.message.sequence, out.message.bid_e4))
    assert sequences == list(range(sequences[0], sequences[0] + 20))
    assert tops == [(number, 4_910 + step) for step, number in enumerate(sequences)]


def test_the_top_is_not_repeated_when_only_deeper_levels_change(driver: Driver) -> None:
    driver.poll(10)
    driver.feed(delta(Side.BID, 4_000, 100))
    out = driver.poll(10)
    assert [item.family for item in out] == ["md.book"]


def test_a_change_below_the_published_depth_is_not_published(driver: Driver) -> None:
    for price in range(4_870, 4_900):
        driver.feed(delta(Side.BID, price, 100))
    driver.poll(60)
    driver.feed(delta(Side.BID, 4_001, 100))
    assert driver.books(10) == []


def test_a_top_is_said_each_second_while_only_what_lies_behind_it_changes(driver: Driver) -> None:
    """Whoever hears only tops, the riskguard, took such a market for silent."""
    tops: list[TopV1] = []
    for step in range(1, 31):
        driver.feed(delta(Side.BID, 4_800, 1, clock=100 + step), FeedHeard(NOW_MS + 100 * step))
        out = driver.poll(100)
        assert any(isinstance(one.message, BookV1) for one in out), "each change is a book, none a refresh"
        tops += [one.message for one in out if isinstance(one.message, TopV1)]
    assert len(tops) in (2, 3)
    assert {(top.bid_e4, top.ask_e4) for top in tops} == {(4_900, 5_100)}
    assert tops[-1].as_of_ms >= NOW_MS + 1_900


def test_a_quiet_market_is_refreshed_with_new_exchange_time(driver: Driver) -> None:
    driver.feed(FeedHeard(NOW_MS + 900))
    refreshed = driver.poll(1_000)
    books = [out.message for out in refreshed if isinstance(out.message, BookV1)]
    assert [book.as_of_ms for book in books] == [NOW_MS + 900]
    assert any(isinstance(out.message, TopV1) for out in refreshed)


def test_the_status_is_said_again_every_two_seconds(driver: Driver) -> None:
    said = [out for _ in range(100) for out in driver.poll(100) if isinstance(out.message, MarketV1)]
    assert 4 <= len(said) <= 6


def test_a_gap_makes_the_book_stale_at_once_and_its_time_stands_still(driver: Driver) -> None:
    driver.feed(delta(Side.BID, 4_950, 100))
    driver.poll(1)
    effects = driver.feed(FeedStale((MARKET,), "gap"), FeedHeard(NOW_MS + 500))
    (book,) = driver.books(1)
    assert effects == []  # the session asks for the snapshot itself
    assert book.is_stale
    assert (book.bids, book.asks, book.features) == ((), (), None)
    assert book.as_of_ms == NOW_MS
    assert driver.core.counters["gaps"] == 1


def test_changes_between_gap_and_snapshot_are_passed_over(driver: Driver) -> None:
    driver.feed(FeedStale((), "gap"))
    driver.feed(delta(Side.BID, 4_950, -999_999))
    driver.feed(snapshot(((4_800, 100),), ((5_000, 100),)))
    (book,) = driver.books(1)
    assert not book.is_stale
    assert book.bids == ((4_800, 100),)


def test_a_negative_level_drops_the_book_and_asks_for_a_snapshot_not_too_often(driver: Driver) -> None:
    effects = driver.feed(delta(Side.BID, 4_900, -10_001))
    assert [type(effect) for effect in effects] == [Resync]
    assert effects[0].markets == (MARKET,)
    (book,) = driver.books(1)
    assert book.is_stale
    driver.feed(snapshot())
    assert driver.feed(delta(Side.BID, 4_900, -10_001)) == []
    driver.mono_ns += 1_000 * MS
    driver.feed(snapshot())
    assert len(driver.feed(delta(Side.BID, 4_900, -10_001))) == 1


def test_a_snapshot_that_does_not_come_is_asked_for_again(driver: Driver) -> None:
    driver.feed(delta(Side.BID, 4_900, -10_001))
    assert driver.core.overdue(driver.mono_ns + 5_000 * MS) == []
    effects = driver.core.overdue(driver.mono_ns + 5_001 * MS)
    assert [type(effect) for effect in effects] == [Resync]


def test_changes_that_the_snapshot_includes_are_not_applied_twice(driver: Driver) -> None:
    driver.feed(snapshot(clock=100))
    driver.feed(delta(Side.BID, 4_900, 500, clock=100), delta(Side.BID, 4_900, 500, clock=99))
    assert driver.core.book(MARKET).bids.at(4_900) == 10_000
    driver.feed(delta(Side.BID, 4_900, 500, clock=101), delta(Side.BID, 4_900, 500, clock=101))
    assert driver.core.book(MARKET).bids.at(4_900) == 11_000


def test_a_clock_that_runs_backwards_drops_the_book(driver: Driver) -> None:
    driver.feed(snapshot(clock=100), delta(Side.BID, 4_900, 1, clock=110))
    assert [type(e) for e in driver.feed(delta(Side.BID, 4_900, 1, clock=105))] == [Resync]


def test_a_snapshot_that_disagrees_at_the_same_clock_is_counted(driver: Driver) -> None:
    driver.feed(snapshot(clock=5), snapshot(((4_900, 1),), clock=5))
    assert driver.core.counters["snapshot_mismatches"] == 1


def test_a_crossed_book_is_shown_without_features_and_dropped_if_it_stays(driver: Driver) -> None:
    driver.feed(delta(Side.BID, 5_200, 100, venue_ms=NOW_MS + 10))
    (book,) = driver.books(10)
    assert book.bids[0] == (5_200, 100)
    assert book.features is None
    driver.feed(FeedHeard(NOW_MS + 2_000))
    (book,) = driver.books(60)
    assert book.is_stale
    assert [type(effect) for effect in driver.core.overdue(driver.mono_ns)] == [Resync]


def test_a_closed_connection_makes_every_book_stale_at_once() -> None:
    driver = Driver()
    driver.follow("A", "B")
    driver.feed(snapshot(market="A"), snapshot(market="B"), FeedHeard(NOW_MS))
    driver.poll(60)
    driver.feed(FeedClosed("reset"))
    assert {(book.market, book.is_stale) for book in driver.books(1)} == {("A", True), ("B", True)}


def test_silence_makes_books_stale_and_a_word_revives_them(driver: Driver) -> None:
    (book,) = [book for book in driver.books(5_100) if book.is_stale]
    assert driver.core.is_silent
    assert book.bids  # the sequence is whole: only the age is in doubt
    driver.feed(FeedHeard(NOW_MS + 5_200))
    (book,) = driver.books(60)
    assert not book.is_stale
    assert book.as_of_ms == NOW_MS + 5_200


def test_a_market_closes_by_its_own_clock_and_says_so_at_once() -> None:
    driver = Driver()
    driver.follow(close_ms=NOW_MS + 500)
    driver.feed(snapshot(), FeedHeard(NOW_MS))
    driver.poll(60)
    out = driver.poll(500)
    states = {
        type(item.message): item.message.state for item in out if isinstance(item.message, BookV1 | MarketV1)
    }
    assert states == {BookV1: MarketState.CLOSED, MarketV1: MarketState.CLOSED}


def test_settled_markets_stay_for_a_while_and_are_then_dropped(driver: Driver) -> None:
    driver.feed(Lifecycle("determined", MARKET, result="no", settlement_value_e4=0))
    driver.feed(Lifecycle("settled", MARKET))
    settled = [out.message for out in driver.poll(60) if isinstance(out.message, MarketV1)]
    assert [(status.state, status.result) for status in settled] == [(MarketState.FINALIZED, "no")]
    assert driver.core.drop_settled(driver.now_ns) == ()
    driver.mono_ns += 600_001 * MS
    assert driver.core.drop_settled(driver.now_ns) == (MARKET,)
    assert driver.core.markets == ()
    assert driver.poll(2_000) == []


def test_a_new_market_is_reported_for_discovery(driver: Driver) -> None:
    assert driver.feed(Lifecycle("created", "NEW")) == [Discover("NEW")]
    assert driver.feed(Lifecycle("activated", MARKET)) == []


def test_trades_and_whales_are_published_and_last_price_kept() -> None:
    driver = Driver(FeedRules(whale=WhaleRules(size_e2_min=5_000)))
    driver.follow()
    driver.feed(snapshot(), FeedHeard(NOW_MS))
    driver.poll(60)
    driver.feed(trade(Side.BID, 5_100, 300), delta(Side.BID, 4_950, 9_000))
    out = driver.poll(10)
    trades = [item.message for item in out if isinstance(item.message, TradeV1)]
    whales = [item.message for item in out if isinstance(item.message, WhaleV1)]
    tops = [item.message for item in out if isinstance(item.message, TopV1)]
    assert [(item.taker_side, item.qty_e2) for item in trades] == [("bid", 300)]
    assert [item.event_type for item in whales] == ["large_bid"]
    assert tops[0].last_e4 == 5_100


def test_an_exclusive_event_carries_its_siblings_tops() -> None:
    driver = Driver()
    driver.follow("A", "B", "C", exclusive=True)
    for name in "ABC":
        driver.feed(snapshot(market=name))
    driver.feed(FeedHeard(NOW_MS), FeedStale(("C",), "gap"))
    books = {book.market: book for book in driver.books(60)}
    assert books["A"].siblings == (
        SiblingV1(market="B", bid_e4=4_900, ask_e4=5_100),
        SiblingV1(market="C", bid_e4=None, ask_e4=None),
    )


def test_events_of_unknown_markets_change_nothing(driver: Driver) -> None:
    driver.feed(delta(Side.BID, 1, 1, market="X"), snapshot(market="X"), trade(Side.BID, 1, 1, market="X"))
    assert driver.books(1) == []
    assert driver.core.markets == (MARKET,)


def test_the_budget_bounds_the_messages_of_a_storm() -> None:
    rules = FeedRules(conflation=ConflationRules(books_per_s_max=200, interval_ms=1))
    driver = Driver(rules)
    names = [f"M{number}" for number in range(50)]
    driver.follow(*names)
    for name in names:
        driver.feed(snapshot(market=name))
    driver.feed(FeedHeard(NOW_MS))
    sent = 0
    for _ in range(1_000):
        for name in names:
            driver.feed(delta(Side.BID, 4_900, 1, market=name))
        sent += len(driver.books(1))
    assert 190 <= sent <= 215

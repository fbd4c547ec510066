from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from libs.common.domain.side import Side
from libs.common.messages.market import MarketState
from services.simexchange.core.events import LevelChanged, LifecycleChanged, Traded
from services.simexchange.core.orders import OrderStatus, Reason
from services.simexchange.core.pacing import MS
from services.simexchange.core.requests import CreateRequest, Placed
from services.simexchange.core.tape import TapeDelta, TapeEvent, TapeSnapshot, TapeTrade
from services.simexchange.core.tape_market import read_metadata
from services.simexchange.core.tape_source import TapeSource
from services.simexchange.core.venue import Venue
from services.simexchange.shell.tape_files import find_tapes
from tests.support.recording import CLOSE_MS, MARKET, metadata
from tests.support.shared import requires_shared, shared_dir

START_NS = 1_700_000_000 * 1_000_000_000
FIRST_MS = CLOSE_MS - 100_000


def recording(*more: TapeEvent) -> Iterator[TapeEvent]:
    yield TapeSnapshot(FIRST_MS, ((4_000, 1_000),), ((6_000, 1_000),))
    yield from more


def a_source(*events: TapeEvent, speed: float = 10) -> tuple[Venue, TapeSource]:
    venue = Venue(chance=random.Random(1))
    venue.add_account("main", cash_by_shard={0: 10**10}, now_ns=START_NS)
    market = read_metadata(metadata(), MARKET)
    source = TapeSource(venue, [(market, recording(*events))], speed=speed, start_ns=START_NS)
    return venue, source


def play_until(source: TapeSource, until_ns: int) -> None:
    while (due_ns := source.next_ns()) is not None and due_ns <= until_ns:
        source.play_next(due_ns)


def to_the_end(venue: Venue, source: TapeSource) -> None:
    while (due_ns := source.next_ns()) is not None:
        source.play_next(due_ns)
    venue.advance(START_NS + 3_600 * 1_000 * MS)


def test_a_market_opens_at_the_start_and_closes_when_its_tape_does() -> None:
    venue, _ = a_source()
    market = venue.markets[MARKET]
    assert market.state is MarketState.ACTIVE
    assert market.open_ns == START_NS
    assert market.close_ns - START_NS == 10_050 * MS


def test_a_tape_plays_to_settlement_and_pays_what_we_hold() -> None:
    venue, source = a_source(
        TapeDelta(FIRST_MS + 1_000, Side.BID, 4_000, 500), TapeTrade(FIRST_MS + 2_000, Side.ASK, 4_000, 1_700)
    )
    play_until(source, START_NS)
    placed = venue.create("main", CreateRequest(MARKET, Side.BID, 4_000, 300), START_NS)
    resting = venue.create("main", CreateRequest(MARKET, Side.BID, 1_000, 300), START_NS)
    assert isinstance(placed, Placed)
    assert isinstance(resting, Placed)
    to_the_end(venue, source)
    market = venue.markets[MARKET]
    assert market.state is MarketState.FINALIZED
    assert venue.accounts["main"].positions[MARKET].realised_e6 == 6_000 * 300
    order = venue.floor.orders[resting.order_id]
    assert (order.status, order.reason) == (OrderStatus.CANCELED, Reason.CLOSE_CANCEL)
    assert venue.residual_e6() == 0
    assert source.progress(START_NS + 20_000 * MS)["settled"] == 1


def test_events_of_one_instant_stay_apart_and_in_order() -> None:
    deltas = [TapeDelta(FIRST_MS + 1_000, Side.BID, 4_000, 100 + i) for i in range(5)]
    venue, source = a_source(*deltas)
    play_until(source, START_NS)
    venue.drain()
    play_until(source, START_NS + 1_000 * MS)
    changes = [e.change_e2 for e in venue.drain() if isinstance(e, LevelChanged)]
    assert changes == [d.change_e2 for d in deltas]


def test_a_snapshot_inside_becomes_the_differences_it_shows() -> None:
    venue, source = a_source(
        TapeSnapshot(FIRST_MS + 1_000, ((4_000, 900), (4_100, 50)), ((6_000, 1_000),)),
    )
    play_until(source, START_NS)
    venue.drain()
    play_until(source, START_NS + 1_000 * MS)
    changes = [(e.side, e.price_e4, e.change_e2) for e in venue.drain() if isinstance(e, LevelChanged)]
    assert changes == [(Side.BID, 4_000, -100), (Side.BID, 4_100, 50)]


def test_a_tape_that_fell_behind_moves_the_close_and_says_so() -> None:
    venue, source = a_source(TapeDelta(FIRST_MS + 1_000, Side.BID, 4_000, 100))
    source.play_next(START_NS)
    venue.drain()
    late_ns = START_NS + 5_000 * MS
    source.play_next(late_ns)
    source.keep_schedule(late_ns)
    told = [e for e in venue.drain() if isinstance(e, LifecycleChanged)]
    assert [e.event_type for e in told] == ["close_date_updated"]
    moved_ms = (venue.markets[MARKET].close_ns - START_NS) // MS
    assert 10_050 + 4_600 <= moved_ms <= 10_050 + 5_000


def test_the_recording_after_the_close_is_not_played() -> None:
    venue, source = a_source(TapeDelta(CLOSE_MS, Side.BID, 4_000, -1_000))
    to_the_end(venue, source)
    assert source.events_played == 1


@requires_shared
def test_all_twelve_recordings_settle_as_recorded_with_every_trade_printed() -> None:
    venue = Venue(chance=random.Random(1))
    tapes = find_tapes(shared_dir() / "data/kalshi-gold15m")
    short = [(t.market, itertools.islice(t.events(), 2_000)) for t in tapes]
    source = TapeSource(venue, short, speed=10, start_ns=START_NS)
    recorded_e2 = sum(
        e.qty_e2 for t in tapes for e in itertools.islice(t.events(), 2_000) if isinstance(e, TapeTrade)
    )
    to_the_end(venue, source)
    printed_e2 = sum(e.qty_e2 for e in venue.drain() if isinstance(e, Traded))
    assert printed_e2 == recorded_e2
    assert {m.ticker: m.result for m in venue.markets.values()} == {
        t.market.market: t.market.result for t in tapes
    }
    assert all(m.state is MarketState.FINALIZED for m in venue.markets.values())

"""Marketdata between a real simulated exchange and a real NATS server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from libs.common.bus.api import Message
from libs.common.bus.nats import NatsBus
from libs.common.kalshi.model import VenueSeries
from libs.common.messages.base import Wire, WireDecoder
from libs.common.messages.market import BookV1, MarketState, MarketV1, TopV1
from libs.common.runtime.config import Venue
from libs.common.runtime.errors import ConfigError, VenueUnavailable
from libs.common.subjects import Subjects
from services.marketdata.config import Config
from services.marketdata.core.selection import Selection
from services.marketdata.shell.service import MarketdataApp
from services.marketdata.wiring import wire
from tests.support.bus import ENV, Connect
from tests.support.eventually import eventually
from tests.support.exchange import RunningExchange, running_exchange
from tests.support.recording import MARKET, busy_lines, write_recording
from tests.support.runtimes import running, runtime_of

SUBJECTS = Subjects(ENV)


class Ear:
    """Hears marketdata and keeps what it said."""

    def __init__(self) -> None:
        self.books: dict[str, list[BookV1]] = {}
        self.tops: list[TopV1] = []
        self.statuses: dict[str, MarketV1] = {}

    async def listen(self, bus: NatsBus) -> None:
        await self._hear(bus, "md.book", BookV1, lambda m: self.books.setdefault(m.market, []).append(m))
        await self._hear(bus, "md.top", TopV1, self.tops.append)
        await self._hear(bus, "md.status", MarketV1, lambda m: self.statuses.update({m.market: m}))

    async def _hear(self, bus: NatsBus, family: str, kind: type[Wire], take: Any) -> None:
        decoder = WireDecoder(kind)

        async def handler(message: Message) -> None:
            take(decoder.decode(message.data))

        await bus.each(SUBJECTS.all_of(family), handler)

    def last(self, market: str = MARKET) -> BookV1:
        assert self.books.get(market), f"a book of {market}"
        return self.books[market][-1]


def _app(exchange: RunningExchange, bus: NatsBus, **changes: Any) -> MarketdataApp:
    account = exchange.account("marketdata")
    venue = Venue(
        rest_url=exchange.at.rest_url,
        ws_url=exchange.at.ws_url,
        key_id=account.key_id,
        key_file=account.key_file,
    )
    return wire(runtime_of("marketdata", Config(venue=venue, exchange_status_s=0.1, **changes), bus))


@asynccontextmanager
async def _whole(
    tmp_path: Path, connect: Connect, *, tape: bool = True, **sim: Any
) -> AsyncIterator[tuple[RunningExchange, MarketdataApp, Ear, NatsBus]]:
    """Run exchange, marketdata and a listener; the tape's one market stands still."""
    if tape:
        sim["tape"] = str(write_recording(tmp_path / "tape", busy_lines(0)))
    async with running_exchange(tmp_path, **sim) as exchange:
        bus, ear = await connect("listener"), Ear()
        await ear.listen(bus)
        app = _app(exchange, await connect("marketdata"))
        async with running(app):
            await eventually(lambda: app.status().state == "running" and ear.books)
            yield exchange, app, ear, bus


async def test_a_book_on_the_bus_is_the_exchanges_own(tmp_path: Path, connect: Connect) -> None:
    async with _whole(tmp_path, connect) as (exchange, _, ear, _):
        await eventually(lambda: not ear.last().is_stale)
        assert (ear.last().bids[0], ear.last().asks[0]) == ((4_000, 50_000), (6_000, 50_000))
        await exchange.order(MARKET, "bid", "0.4500", "7.00", key="outsider")
        await eventually(lambda: ear.last().bids[0] == (4_500, 700))
        numbers = [book.sequence for book in ear.books[MARKET]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        await eventually(lambda: ear.tops[-1].bid_e4 == 4_500)
        status = ear.statuses[MARKET]
        assert status.state is MarketState.ACTIVE
        assert [(band.start_e4, band.end_e4, band.step_e4) for band in status.grid] == [(0, 10_000, 100)]


async def test_a_lost_message_makes_the_book_stale_and_it_heals(tmp_path: Path, connect: Connect) -> None:
    async with _whole(tmp_path, connect) as (exchange, app, ear, _):
        await eventually(lambda: not ear.last().is_stale)
        seen = len(ear.books[MARKET])
        await exchange.sim("faults", {"kind": "ws_seq_gap"})
        await exchange.order(MARKET, "bid", "0.4500", "7.00", key="outsider")
        await eventually(lambda: any(book.is_stale for book in ear.books[MARKET][seen:]))
        await eventually(lambda: not ear.last().is_stale and ear.last().bids[0] == (4_500, 700))
        assert app.status().counters["gaps"] >= 1
        assert app.status().counters["books_corrupt"] == 0


async def test_a_book_that_contradicts_itself_is_fetched_anew(tmp_path: Path, connect: Connect) -> None:
    async with _whole(tmp_path, connect) as (exchange, app, ear, _):
        placed = await exchange.order(MARKET, "bid", "0.4500", "7.00", key="outsider")
        await eventually(lambda: ear.last().bids[:1] == ((4_500, 700),))
        seen = len(ear.books[MARKET])
        app._core.book(MARKET).bids.apply(4_500, -600)  # as if a change had been lost without a gap
        await exchange.request(
            "DELETE", f"/portfolio/events/orders/{placed['order_id']}?ticker={MARKET}", key="outsider"
        )
        await eventually(lambda: any(book.is_stale for book in ear.books[MARKET][seen:]))
        await eventually(lambda: not ear.last().is_stale and ear.last().bids[0] == (4_000, 50_000))
        assert app.status().counters["books_corrupt"] == 1


async def test_a_cut_connection_makes_every_book_stale_and_comes_back(
    tmp_path: Path, connect: Connect
) -> None:
    async with _whole(tmp_path, connect) as (exchange, app, ear, _):
        await eventually(lambda: not ear.last().is_stale)
        seen = len(ear.books[MARKET])
        await exchange.sim("faults", {"kind": "ws_disconnect"})
        await eventually(lambda: any(book.is_stale for book in ear.books[MARKET][seen:]))
        await eventually(lambda: not ear.last().is_stale)
        assert app.status().is_ready


async def test_a_pause_and_its_end_reach_book_and_status(tmp_path: Path, connect: Connect) -> None:
    async with _whole(tmp_path, connect) as (exchange, _, ear, _):
        await exchange.sim("switch", {"action": "pause_trading"})
        await eventually(lambda: not ear.last().trading_active and not ear.statuses[MARKET].trading_active)
        await exchange.sim("switch", {"action": "resume_trading"})
        await eventually(lambda: ear.last().trading_active)


async def test_a_market_is_followed_to_its_result(tmp_path: Path, connect: Connect) -> None:
    async with _whole(tmp_path, connect) as (exchange, _, ear, _):
        await exchange.sim("switch", {"action": "close", "market": MARKET, "seconds": 0})
        await eventually(lambda: ear.last().state is MarketState.CLOSED)
        await exchange.sim("switch", {"action": "determine", "market": MARKET, "result": "yes"})
        await eventually(
            lambda: ear.statuses[MARKET].state in (MarketState.DETERMINED, MarketState.FINALIZED)
        )
        assert (ear.statuses[MARKET].result, ear.statuses[MARKET].settlement_value_e4) == ("yes", 10_000)
        await eventually(lambda: ear.last().state is ear.statuses[MARKET].state)


async def test_a_finer_grid_and_a_deactivation_reach_the_book_while_open(
    tmp_path: Path, connect: Connect
) -> None:
    async with _whole(tmp_path, connect) as (exchange, _, ear, _):
        bands = [[0, 10_000, 10]]
        await exchange.sim(
            "switch", {"action": "grid", "market": MARKET, "structure": "deci_cent", "bands": bands}
        )
        await eventually(lambda: [band.step_e4 for band in ear.last().grid] == [10])
        await exchange.sim("switch", {"action": "deactivate", "market": MARKET})
        await eventually(lambda: ear.last().state is MarketState.INACTIVE)
        await exchange.sim("switch", {"action": "activate", "market": MARKET})
        await eventually(lambda: ear.last().state is MarketState.ACTIVE)


async def test_synthetic_flow_gives_sound_books_of_every_market(tmp_path: Path, connect: Connect) -> None:
    async with _whole(tmp_path, connect, tape=False, synthetic_events_per_s=1_000.0) as (_, app, ear, bus):
        await eventually(lambda: len(ear.books) >= 9 and app.status().counters["books_published"] > 500, 20)
        for market, books in ear.books.items():
            numbers = [book.sequence for book in books]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), market
            for book in books:
                assert book.is_stale or not book.bids or not book.asks or book.bids[0][0] < book.asks[0][0]
        exclusive = [books[-1] for books in ear.books.values() if books[-1].siblings]
        assert exclusive
        assert app.status().counters["books_corrupt"] == app.status().counters["malformed"] == 0
        del bus


async def test_the_markets_endpoint_tells_each_book(tmp_path: Path, connect: Connect) -> None:
    async with _whole(tmp_path, connect) as (_, app, ear, bus):
        await eventually(lambda: not ear.last().is_stale)
        heard: list[bytes] = []

        class Answering:
            async def respond(self, message: Message, data: bytes) -> None:
                heard.append(data)

        app._runtime = runtime_of("marketdata", app._runtime.config, Answering())  # type: ignore[arg-type]
        await app.endpoints["markets"](Message(subject="x", data=b""))
        answer = json.loads(heard[0])[MARKET]
        assert answer["has_snapshot"]
        assert (answer["bid"], answer["ask"]) == ([4_000, 50_000], [6_000, 50_000])
        del bus


async def test_only_the_chosen_markets_are_followed(tmp_path: Path, connect: Connect) -> None:
    async with running_exchange(tmp_path) as exchange:
        bus, ear = await connect("listener"), Ear()
        await ear.listen(bus)
        selection = Selection(tickers=("SIMRAIN-26A-T1",), top_by_volume=0)
        app = _app(exchange, await connect("marketdata"), selection=selection)
        async with running(app):
            await eventually(lambda: ear.books and ear.statuses)
            await asyncio.sleep(0)
            assert set(ear.books) == set(ear.statuses) == {"SIMRAIN-26A-T1"}


async def test_a_series_that_changes_its_fees_is_told_of_without_a_restart(
    tmp_path: Path, connect: Connect
) -> None:
    async with running_exchange(tmp_path) as exchange:
        bus, ear = await connect("listener"), Ear()
        await ear.listen(bus)
        app = _app(exchange, await connect("marketdata"), discovery_s=1.0, series_refresh_s=0.5)
        async with running(app):
            await eventually(lambda: len(ear.statuses) >= 9)
            before = ear.statuses["SIMRAIN-26A-T1"]
            await exchange.sim(
                "fee_changes",
                {"series": before.series, "seconds": 0.2, "fee_type": "quadratic", "multiplier_e4": 5_000},
            )
            of_it = [name for name, status in ear.statuses.items() if status.series == before.series]
            await eventually(lambda: all(ear.statuses[name].fee.multiplier_e4 == 5_000 for name in of_it), 20)
            assert before.fee.multiplier_e4 != 5_000
            assert ear.statuses["SIMRAIN-26A-T1"].sequence == before.sequence + 1
            others = [status for status in ear.statuses.values() if status.series != before.series]
            assert others
            assert all(status.fee.multiplier_e4 != 5_000 for status in others)
            assert app.status().counters["venue_failures"] == 0


async def test_a_series_that_cannot_be_asked_again_keeps_its_fees_and_holds_nothing_up(
    tmp_path: Path, connect: Connect
) -> None:
    async with running_exchange(tmp_path) as exchange:
        bus, ear = await connect("listener"), Ear()
        await ear.listen(bus)
        app = _app(exchange, await connect("marketdata"), discovery_s=1.0, series_refresh_s=0.5)
        async with running(app):
            await eventually(lambda: len(ear.statuses) >= 9)
            before = dict(ear.statuses)
            read = app._reference._reader.series

            async def refused(series: str) -> VenueSeries:
                raise VenueUnavailable(f"series {series}: 503")

            app._reference._reader.series = refused  # type: ignore[method-assign]
            await eventually(lambda: app.status().counters["venue_failures"] >= 2, 20)
            assert app.status().is_ready
            assert {name: status.fee for name, status in ear.statuses.items()} == {
                name: status.fee for name, status in before.items()
            }
            app._reference._reader.series = read  # type: ignore[method-assign]
            failures = app.status().counters["venue_failures"]
            await asyncio.sleep(1.5)
            assert app.status().counters["venue_failures"] == failures


@pytest.mark.parametrize("field", ["rest_url", "ws_url"])
def test_a_missing_address_is_refused_by_name(field: str) -> None:
    given = {"rest_url": "http://127.0.0.1:1", "ws_url": "ws://127.0.0.1:1", field: "127.0.0.1"}
    with pytest.raises(ConfigError, match=f"venue.{field}: expected an address"):
        Config(venue=Venue(**given))

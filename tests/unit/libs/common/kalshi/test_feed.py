import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from libs.common.kalshi.feed import run_feed
from libs.common.kalshi.model import BookDelta, BookSnapshot, FeedClosed, FeedEvent, FeedHeard, FeedStale
from libs.common.kalshi.session import FeedSession
from libs.common.kalshi.signing import KEY_HEADER, SIGNATURE_HEADER, STAMP_HEADER, Signer
from libs.common.runtime.clock import SystemClock
from tests.support.eventually import eventually
from tests.unit.libs.common.kalshi.test_signing import ED25519_PEM

Play = Callable[[ServerConnection, int], Awaitable[None]]


class Venue:
    """A WebSocket server whose every connection is played by the test."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.upgrades: list[dict[str, str]] = []
        self.commands: list[dict[str, Any]] = []
        self.refuse_with: int | None = None
        self.url = ""

    def on_request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.upgrades.append({"path": request.path, **dict(request.headers.raw_items())})
        return connection.respond(self.refuse_with, "no") if self.refuse_with else None

    async def on_connection(self, connection: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            await self.play(connection, len(self.upgrades))

    async def next_command(self, connection: ServerConnection, name: str) -> dict[str, Any]:
        while True:
            command = msgspec.json.decode(await connection.recv())
            self.commands.append(command)
            if command["cmd"] == name:
                return dict(command)


@contextlib.asynccontextmanager
async def venue(play: Play) -> AsyncIterator[Venue]:
    made = Venue(play)
    async with serve(made.on_connection, "127.0.0.1", 0, process_request=made.on_request) as server:
        made.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/trade-api/ws/v2"
        yield made


@contextlib.asynccontextmanager
async def feeding(
    url: str, session: FeedSession, on_events: Any = None, **more: Any
) -> AsyncIterator[list[FeedEvent]]:
    heard: list[FeedEvent] = []

    def keep(events: list[FeedEvent], received_ns: int) -> None:
        assert received_ns <= SystemClock().mono_ns()
        heard.extend(events)

    signer = Signer.from_pem("key-1", ED25519_PEM)
    task = asyncio.create_task(
        run_feed(url, signer, session, on_events or keep, SystemClock(), jitter=lambda: 0.0, **more)
    )
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def frame(kind: str, **fields: Any) -> str:
    return msgspec.json.encode({"type": kind, **fields}).decode() + "\n"


def snapshot(seq: int, market: str = "A") -> str:
    return frame("orderbook_snapshot", sid=1, seq=seq, msg={"market_ticker": market, "clock": 1})


def delta(seq: int, stamp: int = 0) -> str:
    msg = {
        "market_ticker": "A",
        "price_dollars": "0.5000",
        "delta_fp": f"{seq}.00",
        "side": "yes",
        "clock": seq,
    }
    return frame("orderbook_delta", sid=1, seq=seq, sending_ts_ms=stamp, msg=msg)


async def greet(made: Venue, connection: ServerConnection) -> None:
    command = await made.next_command(connection, "subscribe")
    await connection.send(frame("subscribed", id=command["id"], msg={"channel": "orderbook_delta", "sid": 1}))


def book_session() -> FeedSession:
    return FeedSession(("orderbook_delta",))


async def test_events_come_in_the_order_sent_and_upgrades_are_signed() -> None:
    async def play(connection: ServerConnection, _: int) -> None:
        await greet(made, connection)
        await connection.send(snapshot(1))
        for seq in range(2, 202):
            await connection.send(delta(seq))
        await connection.wait_closed()

    async with venue(play) as made, feeding(made.url, book_session(), markets=["A"]) as heard:
        await eventually(lambda: len(heard) == 201)

    assert isinstance(heard[0], BookSnapshot)
    assert [e.clock for e in heard[1:] if isinstance(e, BookDelta)] == list(range(2, 202))
    upgrade = {name.upper(): value for name, value in made.upgrades[0].items()}
    expected = Signer.from_pem("key-1", ED25519_PEM).headers(
        "GET", "/trade-api/ws/v2", int(upgrade[STAMP_HEADER])
    )
    assert (upgrade[KEY_HEADER], upgrade[SIGNATURE_HEADER]) == ("key-1", expected[SIGNATURE_HEADER])
    assert "SEC-WEBSOCKET-EXTENSIONS" not in upgrade


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_lost_connection_is_told_and_made_again_with_the_same_markets(end: str) -> None:
    async def play(connection: ServerConnection, number: int) -> None:
        await greet(made, connection)
        await connection.send(snapshot(1))
        if number == 1:
            if end == "abort":
                await eventually(lambda: heard)
                connection.transport.abort()
            return
        await connection.wait_closed()

    async with venue(play) as made, feeding(made.url, book_session(), markets=["A"]) as heard:
        await eventually(lambda: len([e for e in heard if isinstance(e, BookSnapshot)]) == 2)

    assert [type(e) for e in heard] == [BookSnapshot, FeedClosed, BookSnapshot]
    subscribes = [c for c in made.commands if c["cmd"] == "subscribe"]
    assert [c["params"]["market_tickers"] for c in subscribes] == [["A"], ["A"]]
    assert made.upgrades[0][KEY_HEADER] == made.upgrades[1][KEY_HEADER]


async def test_a_refused_upgrade_is_tried_again() -> None:
    async def play(connection: ServerConnection, _: int) -> None:
        await greet(made, connection)
        await connection.wait_closed()

    async with venue(play) as made:
        made.refuse_with = 502
        async with feeding(made.url, book_session(), markets=["A"]) as heard:
            await eventually(lambda: heard == [FeedClosed("upgrade refused with 502")])
            made.refuse_with = None
            await eventually(lambda: made.commands)


async def test_a_silent_connection_is_given_up() -> None:
    async def play(connection: ServerConnection, _: int) -> None:
        await connection.wait_closed()

    async with (
        venue(play) as made,
        feeding(made.url, book_session(), markets=["A"], silence_s=0.3) as heard,
    ):
        await eventually(lambda: FeedClosed("silent") in heard)


async def test_a_gap_heals_over_the_same_connection() -> None:
    async def play(connection: ServerConnection, _: int) -> None:
        await greet(made, connection)
        await connection.send(snapshot(1))
        await connection.send(delta(9))
        command = await made.next_command(connection, "unsubscribe")
        await connection.send(frame("unsubscribed", id=command["id"], sid=1, seq=10))
        await greet(made, connection)
        await connection.send(snapshot(1))
        await connection.send(delta(2))
        await connection.wait_closed()

    async with venue(play) as made, feeding(made.url, book_session(), markets=["A"]) as heard:
        await eventually(lambda: any(isinstance(e, BookDelta) for e in heard))

    assert [type(e) for e in heard] == [BookSnapshot, FeedStale, BookSnapshot, BookDelta]
    assert len(made.upgrades) == 1


async def test_markets_added_later_are_asked_for_at_once_and_life_is_asked_for_regularly() -> None:
    async def play(connection: ServerConnection, _: int) -> None:
        await greet(made, connection)
        added = await made.next_command(connection, "update_subscription")
        await connection.send(frame("ok", id=added["id"], sid=1, seq=1, msg={}))
        await connection.send(snapshot(2, "B"))
        listed = next((c for c in made.commands if c["cmd"] == "list_subscriptions"), None)
        listed = listed or await made.next_command(connection, "list_subscriptions")
        await connection.send(frame("ok", id=listed["id"], sending_ts_ms=77_000, msg=[]))
        await connection.wait_closed()

    session, wake = book_session(), asyncio.Event()
    async with venue(play) as made, feeding(made.url, session, markets=["A"], wake=wake) as heard:
        await eventually(lambda: made.commands)
        session.add_markets(["B"])
        wake.set()
        await eventually(lambda: FeedHeard(77_000) in heard)

    assert any(isinstance(e, BookSnapshot) and e.market == "B" for e in heard)


async def test_an_awaited_consumer_sees_one_frame_at_a_time_and_its_error_ends_the_feed() -> None:
    async def play(connection: ServerConnection, _: int) -> None:
        await greet(made, connection)
        await connection.send(snapshot(1))
        await connection.wait_closed()

    class BrokenError(Exception):
        pass

    async def consume(events: list[FeedEvent], _: int) -> None:
        await asyncio.sleep(0)
        raise BrokenError(events)

    async with venue(play) as made:
        signer = Signer.from_pem("key-1", ED25519_PEM)
        with pytest.raises(ExceptionGroup) as ended:
            await run_feed(made.url, signer, book_session(), consume, SystemClock(), markets=["A"])

    assert ended.group_contains(BrokenError)


async def test_a_session_that_failed_is_closed_and_begun_again() -> None:
    async def play(connection: ServerConnection, number: int) -> None:
        command = await made.next_command(connection, "subscribe")
        if number == 1:
            await connection.send(frame("error", id=command["id"], msg={"code": 10, "msg": "Channel error"}))
        await connection.wait_closed()

    notes: list[str] = []

    class Notes:
        def event(self, event_type: str, message: str = "", *, level: str = "INFO", **fields: object) -> None:
            notes.append(f"{event_type} {level} {sorted(fields)}")

    async with venue(play) as made, feeding(made.url, book_session(), markets=["A"], notes=Notes()) as heard:
        await eventually(lambda: len(made.upgrades) == 2)

    assert heard[0] == FeedClosed("error 10: Channel error")
    assert notes[:2] == ["feed_connected INFO []", "feed_closed WARNING ['faults']"]


async def test_a_venue_that_does_not_listen_is_tried_until_it_does() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    session = book_session()
    async with feeding(f"ws://127.0.0.1:{port}/trade-api/ws/v2", session, markets=["A"]) as heard:
        await eventually(lambda: len(heard) >= 2)
        assert all(isinstance(e, FeedClosed) for e in heard)
        async with serve(lambda c: c.wait_closed(), "127.0.0.1", port):
            await eventually(lambda: session._desk._is_open)


async def test_commands_of_a_tick_leave_without_any_frame_arriving() -> None:
    async def play(connection: ServerConnection, _: int) -> None:
        await made.next_command(connection, "list_subscriptions")
        await connection.wait_closed()

    async with venue(play) as made, feeding(made.url, book_session(), markets=["A"]):
        await eventually(lambda: any(c["cmd"] == "list_subscriptions" for c in made.commands))

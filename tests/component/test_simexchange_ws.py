"""The WebSocket face with a real client over real sockets, the HTTP face beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from libs.common.kalshi.signing import Signer
from tests.support.eventually import eventually
from tests.support.exchange import Message, RunningExchange, host_of, running_exchange
from tests.support.recording import CLOSE_MS, MARKET, OPEN_MS, busy_lines, delta, trade, write_recording

RAIN, COIN = "SIMRAIN-26A-T1", "SIMBTC-26A-T1"
SEQUENCED = {
    "orderbook_snapshot",
    "orderbook_delta",
    "trade",
    "ok",
    "market_lifecycle_v2",
    "order_group_updates",
}


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[RunningExchange]:
    """Yield an exchange whose one market stands still: bids 0.40, asks 0.60, 500 contracts each."""
    folder = write_recording(tmp_path / "tape", busy_lines(0))
    async with running_exchange(tmp_path, tape=str(folder)) as exchange:
        yield exchange


@pytest.fixture
async def busy(tmp_path: Path) -> AsyncIterator[RunningExchange]:
    """Yield an exchange with synthetic flow."""
    async with running_exchange(tmp_path, synthetic_events_per_s=500.0) as exchange:
        yield exchange


class Books:
    """Books as a client rebuilds them: snapshot, then signed changes; YES prices."""

    def __init__(self) -> None:
        self.levels: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: {"yes": {}, "no": {}})

    def take(self, message: Message) -> None:
        body = message["msg"]
        if message["type"] == "orderbook_snapshot":
            self.levels[body["market_ticker"]] = {
                leg: {p: float(q) for p, q in body.get(f"{leg}_dollars_fp", [])} for leg in ("yes", "no")
            }
        elif message["type"] == "orderbook_delta":
            half = self.levels[body["market_ticker"]][body["side"]]
            price = body["price_dollars"]
            half[price] = round(half.get(price, 0.0) + float(body["delta_fp"]), 2)
            assert half[price] >= 0, message
            if not half[price]:
                del half[price]


async def test_an_unsigned_handshake_is_refused_with_the_recorded_body(quiet: RunningExchange) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(quiet.at.ws_url):
            pass
    response = refused.value.response
    assert response.status_code == 401
    assert json.loads(response.body)["error"]["code"] == "signature_is_missing_from_headers"


@pytest.mark.parametrize("wrong", ["path", "key", "stamp", "signature"])
async def test_a_wrongly_signed_handshake_is_refused(quiet: RunningExchange, wrong: str) -> None:
    now_ms = time.time_ns() // 1_000_000
    signer = quiet.signer()
    if wrong == "key":
        entry = quiet.account("trade")
        signer = Signer.from_pem("nobody", Path(entry.key_file).read_bytes())
    path = "/trade-api/ws/v3" if wrong == "path" else "/trade-api/ws/v2"
    headers = signer.headers("GET", path, now_ms - 60_000 * (wrong == "stamp"))
    if wrong == "signature":
        headers["KALSHI-ACCESS-SIGNATURE"] = "AAAA"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(quiet.at.ws_url, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 401


async def test_snapshot_and_deltas_rebuild_the_book_that_rest_shows(tmp_path: Path) -> None:
    lines = busy_lines(3_000, ms_between=5)
    folder = write_recording(tmp_path / "tape", lines)
    options = {"tape": str(folder), "speed": 10.0, "probe_s": 0.0}
    async with running_exchange(tmp_path, **options) as exchange, exchange.feed() as feed:
        await feed.say(
            "subscribe", channels=["orderbook_delta"], market_tickers=[MARKET], use_yes_price=False
        )
        books = Books()
        source = exchange.exchange.source
        clock = exchange.exchange.venue.markets[MARKET]
        await feed.until("orderbook_snapshot")
        await eventually(lambda: source.progress(0)["events_played"] == len(lines), 10)
        await exchange.order(MARKET, "bid", "0.4600", "3.00")
        while feed.heard[-1]["msg"]["clock"] < clock.clock:
            await feed.next()
        for message in feed.heard[1:]:
            books.take(message)
        answer = (await exchange.request("GET", f"/markets/{MARKET}/orderbook")).json()["orderbook_fp"]
        for leg in ("yes", "no"):
            shown = {p: float(q) for p, q in answer[f"{leg}_dollars"]}
            assert shown == books.levels[MARKET][leg]
        assert books.levels[MARKET]["yes"]["0.4600"] == 3.0
        seqs = [m["seq"] for m in feed.heard[1:]]
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) > 500


async def test_sequences_have_no_hole_while_the_market_moves_and_commands_come(busy: RunningExchange) -> None:
    async with busy.feed() as feed:
        await feed.say(
            "subscribe", channels=["orderbook_delta", "trade"], market_tickers=[RAIN], use_yes_price=True
        )
        for number in range(2, 12):
            action = "add_markets" if number % 2 == 0 else "delete_markets"
            await feed.say("update_subscription", number, sid=1, action=action, market_tickers=[COIN])
            await feed.say(
                "update_subscription", 100 + number, sid=1, action="get_snapshot", market_tickers=[RAIN]
            )
            await feed.until("orderbook_snapshot", market_ticker=RAIN)
            for _ in range(20):
                await feed.next()
    by_sid: dict[int, list[int]] = defaultdict(list)
    for message in feed.heard:
        if message["type"] in SEQUENCED:
            by_sid[message["sid"]].append(message["seq"])
    assert set(by_sid) >= {1}
    for seqs in by_sid.values():
        assert seqs == list(range(1, len(seqs) + 1))
    assert all("sending_ts_ms" in m for m in feed.heard)


async def test_clocks_rise_and_are_the_same_on_every_connection(busy: RunningExchange) -> None:
    async with busy.feed() as one, busy.feed("outsider") as two:
        for feed in (one, two):
            await feed.say(
                "subscribe", channels=["orderbook_delta"], market_tickers=[RAIN], use_yes_price=True
            )
        changes: list[dict[int, list[tuple[str, str]]]] = []
        for feed in (one, two):
            mine: dict[int, list[tuple[str, str]]] = defaultdict(list)
            last = 0
            for _ in range(30):
                message = await feed.next()
                if message["type"] == "orderbook_delta":
                    body = message["msg"]
                    assert body["clock"] >= last
                    last = body["clock"]
                    mine[last].append((body["price_dollars"], body["delta_fp"]))
            mine.pop(last)  # the action may have more changes than were read
            changes.append(mine)
    shared = changes[0].keys() & changes[1].keys()
    assert shared
    assert all(changes[0][clock] == changes[1][clock] for clock in shared)


async def test_a_fill_reaches_every_private_channel_of_its_member_and_nobody_else(
    quiet: RunningExchange,
) -> None:
    private = ["fill", "user_orders", "market_positions"]
    async with quiet.feed("reconciler") as mine, quiet.feed("outsider") as theirs:
        for feed in (mine, theirs):
            await feed.say("subscribe", channels=private)
            for _ in private:
                await feed.next()
        placed = await quiet.order(MARKET, "bid", "0.6000", "2.00", client_order_id="abc")
        fill = (await mine.until("fill"))["msg"]
        assert (fill["order_id"], fill["client_order_id"]) == (placed["order_id"], "abc")
        assert (fill["is_taker"], fill["count_fp"], fill["yes_price_dollars"]) == (True, "2.00", "0.6000")
        assert fill["post_position_fp"] == "2.00"
        position = (await mine.until("market_position"))["msg"]
        assert position["position_fp"] == "2.00"
        statuses = [m["msg"]["status"] for m in mine.heard if m["type"] == "user_order"]
        statuses += [(await mine.until("user_order", order_id=placed["order_id"]))["msg"]["status"]]
        assert statuses[-1] == "executed"
        await theirs.say("list_subscriptions", 9)
        assert (await theirs.next())["id"] == 9


async def test_a_recorded_trade_fills_us_and_the_public_sees_its_quantity_once(tmp_path: Path) -> None:
    lines = [
        *busy_lines(0),
        delta("0.4000", "1.00", ts_ms=OPEN_MS),
        trade("0.4000", "600.00", "no", OPEN_MS + 20_000),
        delta("0.4000", "-501.00", ts_ms=OPEN_MS + 20_000),
    ]
    folder = write_recording(tmp_path / "tape", lines)
    async with running_exchange(tmp_path, tape=str(folder), speed=10.0) as exchange, exchange.feed() as feed:
        await feed.say("subscribe", channels=["fill", "trade"], market_tickers=[MARKET])
        await exchange.order(MARKET, "bid", "0.4000", "150.00")
        fill = (await feed.until("fill"))["msg"]
        # 501 contracts stood before us: of the 600 the last 99 are ours.
        assert (fill["count_fp"], fill["is_taker"]) == ("99.00", False)
        await eventually(lambda: exchange.exchange.source.next_ns() is not None)
        while sum(float(m["msg"]["count_fp"]) for m in feed.heard if m["type"] == "trade") < 600:
            await feed.next()
        printed = [float(m["msg"]["count_fp"]) for m in feed.heard if m["type"] == "trade"]
        assert sorted(printed) == [99.0, 501.0]


async def test_a_market_lives_from_open_to_settlement_on_the_feed(tmp_path: Path) -> None:
    lines = [*busy_lines(0), *busy_lines(20, from_ms=CLOSE_MS - 3_000)[1:]]
    # The tape begins at its first stamp, three recorded seconds before the close.
    folder = write_recording(tmp_path / "tape", lines)
    async with running_exchange(tmp_path, tape=str(folder), speed=2.0) as exchange, exchange.feed() as feed:
        await feed.say("subscribe", channels=["market_lifecycle_v2", "user_orders"])
        placed = await exchange.order(MARKET, "bid", "0.1000")
        cancelled = await feed.until("user_order", 10, status="canceled")
        assert cancelled["msg"]["order_id"] == placed["order_id"]
        assert cancelled["msg"]["last_update_reason"] == "CloseCancel"
        determined = await feed.until("market_lifecycle_v2", 10, event_type="determined")
        assert determined["msg"]["result"] == "yes"
        await feed.until("market_lifecycle_v2", 10, event_type="settled")
        progress = await exchange.sim("progress")
        assert progress["sources"][0]["settled"] == 1
        assert progress["sources"][0]["effective_speed"] > 0


@pytest.mark.parametrize(
    ("key", "status"), [("trade", 201), ("riskguard", 201), ("marketdata", 403), ("reconciler", 403)]
)
async def test_a_key_may_do_what_its_scopes_say(quiet: RunningExchange, key: str, status: int) -> None:
    answer = await quiet.request("POST", "/portfolio/order_groups/create", {"contracts_limit": 10}, key=key)
    assert answer.status_code == status
    assert (await quiet.request("GET", "/portfolio/balance", key=key)).status_code == 200


async def test_order_groups_are_told_with_a_sequence(quiet: RunningExchange) -> None:
    async with quiet.feed() as feed:
        await feed.say("subscribe", channels=["order_group_updates"])
        await feed.next()
        answer = await quiet.request("POST", "/portfolio/order_groups/create", {"contracts_limit": 10})
        group = answer.json()["order_group_id"]
        await quiet.request("PUT", f"/portfolio/order_groups/{group}/trigger", {})
        created, triggered = await feed.next(), await feed.next()
        assert [(m["seq"], m["msg"]["event_type"]) for m in (created, triggered)] == [
            (1, "created"),
            (2, "triggered"),
        ]


async def test_the_venue_pings_with_heartbeat(
    quiet: RunningExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.simexchange.shell.ws.HEARTBEAT_S", 0.01)
    beating = asyncio.create_task(quiet.exchange.face.beat())
    host, port = quiet.at.ws_url.removeprefix("ws://").partition("/")[0].split(":")
    headers = quiet.signer().headers("GET", "/trade-api/ws/v2", time.time_ns() // 1_000_000)
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [
        "GET /trade-api/ws/v2 HTTP/1.1",
        f"Host: {host}:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        *(f"{k}: {v}" for k, v in headers.items()),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(11) == b"\x89\x09heartbeat"
    beating.cancel()
    writer.close()


async def test_a_reader_that_stops_reading_gets_error_25_and_is_closed(tmp_path: Path) -> None:
    options = {"synthetic_events_per_s": 2_000.0, "backlog_bytes_max": 65_536, "probe_s": 0.0}
    async with running_exchange(tmp_path, **options) as exchange:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        host, port = exchange.at.ws_url.removeprefix("ws://").partition("/")[0].split(":")
        sock.connect((host, int(port)))
        sock.setblocking(False)
        async with exchange.feed(sock=sock, max_queue=1) as feed:
            markets = list(exchange.exchange.venue.markets)
            await feed.say("subscribe", channels=["orderbook_delta", "ticker"], market_tickers=markets)
            await eventually(lambda: exchange.exchange.face.overflows == 1, 30)
            codes = set()
            with contextlib.suppress(ConnectionClosed):
                while True:
                    message = await feed.next()
                    if message["type"] == "error":
                        codes.add((message["sid"], message["msg"]["code"]))
            assert codes == {(1, 25), (2, 25)}


async def test_faults_of_the_feed_are_thrown_from_outside(quiet: RunningExchange) -> None:
    async with quiet.feed() as feed:
        await feed.say("subscribe", channels=["orderbook_delta"], market_tickers=[MARKET])
        await feed.until("orderbook_snapshot")
        await quiet.sim("faults", {"kind": "ws_seq_gap"})
        await quiet.order(MARKET, "bid", "0.1000")
        assert (await feed.until("orderbook_delta"))["seq"] == 3
        await quiet.sim("faults", {"kind": "ws_disconnect"})
        with pytest.raises(ConnectionClosed):
            await feed.next()


async def test_orders_are_answered_between_two_slices_of_a_burst(tmp_path: Path) -> None:
    folder = write_recording(tmp_path / "tape", busy_lines(20_000, ms_between=2))
    async with (
        running_exchange(tmp_path, tape=str(folder), speed=10.0) as exchange,
        exchange.feed(max_queue=None) as feed,
    ):
        await feed.say("subscribe", channels=["orderbook_delta"], market_tickers=[MARKET])
        player, played = exchange.exchange.player, []
        for number in range(30):
            before = player.events_played
            await exchange.order(MARKET, "bid", "0.0500", client_order_id=f"burst-{number}")
            played.append(player.events_played - before)
        # Counted in events, not in seconds, so that a loaded machine proves nothing: a slice is half a
        # millisecond of play, and a request takes a few turns of the loop.
        assert sum(played) > 0
        assert sorted(played)[len(played) // 2] < 1_000


async def test_garbage_on_the_wire_is_answered_and_changes_nothing(quiet: RunningExchange) -> None:
    async with quiet.feed() as feed:
        for garbage in ("{", "null", '"x"', '{"id":"a"}', "\x00" * 100):
            await feed.connection.send(garbage)
            assert (await feed.next())["type"] == "error"
        await feed.connection.send(b"\xff\x00\x01")
        assert (await feed.next())["msg"]["code"] == 1
        await feed.say("list_subscriptions", 3)
        assert (await feed.next())["msg"] == []


async def test_latency_delays_the_trade_api_only(tmp_path: Path) -> None:
    async with running_exchange(tmp_path, latency_ms_min=60.0, latency_ms_max=80.0) as exchange:
        began = time.perf_counter()
        assert (await exchange.request("GET", "/exchange/status")).status_code == 200
        assert time.perf_counter() - began >= 0.06
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{host_of(exchange.at)}/sim/progress")).status_code == 200


async def test_the_tape_waits_for_a_reader_that_is_behind_and_says_so(tmp_path: Path) -> None:
    """A reader that takes nothing for a while finds every event, later; the close has moved with the tape."""
    folder = write_recording(tmp_path / "tape", busy_lines(20_000, ms_between=1))
    async with running_exchange(tmp_path, tape=str(folder), speed=10.0) as exchange:
        closes_ns = exchange.exchange.venue.markets[MARKET].close_ns
        async with exchange.feed(max_queue=1) as feed:
            await feed.say("subscribe", channels=["orderbook_delta"], market_tickers=[MARKET])
            await feed.until("orderbook_snapshot")
            await eventually(exchange.exchange.face.is_behind, 10)
            played = exchange.exchange.player.events_played
            await asyncio.sleep(1.5)  # the reader's absence is what is tested
            assert exchange.exchange.player.events_played - played < 100
            seqs = [(await feed.next())["seq"] for _ in range(2_000)]
            assert seqs == list(range(2, 2_002))
            assert exchange.exchange.venue.markets[MARKET].close_ns > closes_ns
            assert (await exchange.sim("progress"))["sources"][0]["slipped_ms"] > 0

"""Measure the floor of tick-to-order: the same hops with no logic at all.

One process receives a WebSocket frame and publishes it on core NATS, a second
relays it, a third appends one message to a stream on a synced server and, once
that is acknowledged, writes an HTTP request to a kept-alive raw connection. The
time runs from the frame's arrival in the first process to the moment before
the request's bytes leave the third, as the executor measures its own: all
processes share the machine's monotonic clock.

`measure` runs the chain alone on an idle machine, a frame every two milliseconds.
`chain` yields it for somebody else's server, so that `living.py` can send single
frames through it while a whole Dora trades (ADR 0017): frames of its own at random
times, and, given a `Venue`, now and then one of the very frames that marketdata gets,
at the moment it gets it. `python -m bench.floor` prints the percentiles of the first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StorageType, StreamConfig
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from bench.nats_process import NatsProcess
from libs.common.kalshi.session import FeedSession
from libs.common.kalshi.signing import Signer

_FRAME = json.dumps(
    {
        "type": "orderbook_delta",
        "sid": 2,
        "seq": 2,
        "sending_ts_ms": 1669149841123,
        "msg": {
            "market_ticker": "FED-23DEC-T3.00",
            "market_id": "9b0f6b43-5b68-4f9f-9f02-9a2d1b8ac1a1",
            "clock": 4182061,
            "price_dollars": "0.9600",
            "delta_fp": "-54.00",
            "side": "yes",
            "ts_ms": 1669149841000,
        },
    }
)
_BODY = b'{"orders":[' + b"x" * 300 + b"]}"
_REQUEST = (
    b"POST /trade-api/v2/portfolio/events/orders/batched HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nContent-Length: " + str(len(_BODY)).encode() + b"\r\n\r\n" + _BODY
)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Microseconds over ``samples`` rounds."""

    p50_us: float
    p99_us: float
    samples: int


def percentiles(values_us: list[float]) -> Percentiles:
    """Return the 50th and 99th percentile by nearest rank."""
    ordered = sorted(values_us)
    last = len(ordered) - 1
    return Percentiles(ordered[round(last * 0.50)], ordered[round(last * 0.99)], len(ordered))


@dataclass(frozen=True, slots=True)
class Server:
    """A NATS server and who we are there; no user where it asks for none."""

    url: str
    user: str = ""
    password: str = ""

    async def connect(self) -> Client:
        """Return a connection that buffers nothing over a break, as the services' own."""
        login = {"user": self.user, "password": self.password} if self.user else {}
        return await nats.connect(self.url, pending_size=0, **login)


class Venue(msgspec.Struct, frozen=True):
    """A venue whose book changes are probed too."""

    ws_url: str
    key_id: str
    key_file: str
    markets: tuple[str, ...]
    share: float
    """Of the frames, picked at random."""


def is_ticks_turn() -> bool:
    """Return whether it is the turn of the venue's frames: the two kinds of probes take turns by the second.

    One at a time is what makes it the floor: no frame waits for another one's disk.
    """
    return time.monotonic_ns() // 1_000_000_000 % 2 == 1


async def _first(server: Server, ws_url: str, venue: Venue | None) -> None:
    bus = await server.connect()
    async with asyncio.TaskGroup() as tasks:
        if venue is not None:
            tasks.create_task(_tap(bus, venue))
        async with connect(ws_url, compression=None) as ws:
            async for _ in ws:
                await bus.publish("floor.a", f"own {time.monotonic_ns()}".encode())


async def _tap(bus: Client, venue: Venue) -> None:
    """Send a few of the venue's frames down the chain, looking into none of them."""
    signed = Signer.from_file(venue.key_id, Path(venue.key_file)).headers(
        "GET", urlsplit(venue.ws_url).path, time.time_ns() // 1_000_000
    )
    session = FeedSession(("orderbook_delta",))
    chance = random.Random(1)
    free_ns = 0
    async with connect(venue.ws_url, additional_headers=signed, compression=None, proxy=None) as ws:
        for command in session.open(venue.markets):
            await ws.send(command.decode())
        while True:
            await ws.recv(decode=False)
            now_ns = time.monotonic_ns()
            if chance.random() < venue.share and is_ticks_turn() and now_ns > free_ns:
                free_ns = now_ns + 30_000_000
                await bus.publish("floor.a", f"tick {now_ns}".encode())


async def _relay(server: Server) -> None:
    bus = await server.connect()
    subscription = await bus.subscribe("floor.a")
    async for message in subscription.messages:
        await bus.publish("floor.b", message.data)


async def _last(server: Server, http_port: int) -> None:
    bus = await server.connect()
    stream = bus.jetstream()
    reader, writer = await asyncio.open_connection("127.0.0.1", http_port)
    subscription = await bus.subscribe("floor.b")
    async for message in subscription.messages:
        await stream.publish("floor.journal", _BODY)
        left_ns = time.monotonic_ns()
        writer.write(_REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        await bus.publish("floor.done", f"{message.data.decode()} {left_ns}".encode())


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(_BODY))
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
    except asyncio.IncompleteReadError:
        writer.close()


class Chain:
    """The three processes, ready for frames; one at a time."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self._waiter: asyncio.Future[float] | None = None
        self.ticks_us: list[float] = []
        """Of the venue's own frames so far."""

    async def send(self) -> float:
        """Send a frame in at one end and return the microseconds until its request left at the other.

        Raises:
            TimeoutError: Nothing came out in ten seconds.
        """
        self._waiter = asyncio.get_running_loop().create_future()
        await self._socket.send(_FRAME)
        async with asyncio.timeout(10):
            return await self._waiter

    async def on_done(self, message: Msg) -> None:
        """Take what came out at the other end."""
        kind, arrived, left = message.data.split()
        took_us = (int(left) - int(arrived)) / 1000
        if kind == b"tick":
            self.ticks_us.append(took_us)
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(took_us)


@contextlib.asynccontextmanager
async def chain(server: Server, venue: Venue | None = None) -> AsyncIterator[Chain]:
    """Yield the chain over a server; its stream and its processes are made here, the processes ended."""
    connected: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

    async def keep(socket: ServerConnection) -> None:
        connected.set_result(socket)
        await socket.wait_closed()

    bus = await server.connect()
    await bus.jetstream().add_stream(
        StreamConfig(name="FLOOR", subjects=["floor.journal"], storage=StorageType.FILE)
    )
    http = await asyncio.start_server(_answer, "127.0.0.1", 0)
    http_port = http.sockets[0].getsockname()[1]
    async with serve(keep, "127.0.0.1", 0, compression=None) as ws:
        ws_url = f"ws://127.0.0.1:{next(iter(ws.sockets)).getsockname()[1]}"
        command = [sys.executable, "-m", "bench.floor", "--nats", server.url, "--user", server.user]

        async def start(*role: str) -> asyncio.subprocess.Process:
            process = await asyncio.create_subprocess_exec(
                *command, "--role", *role, stdin=asyncio.subprocess.PIPE
            )
            assert process.stdin is not None
            # Not among the arguments, which everybody can read.
            process.stdin.write(server.password.encode() + b"\n" + msgspec.json.encode(venue) + b"\n")
            return process

        children = [await start("last", "--http", str(http_port)), await start("relay")]
        try:
            await asyncio.sleep(1.5)  # subscriptions of the first two stand before the third can speak
            children.append(await start("first", "--ws", ws_url))
            hops = Chain(await asyncio.wait_for(connected, 20))
            await bus.subscribe("floor.done", cb=hops.on_done)
            yield hops
        finally:
            for child in children:
                child.terminate()
            for child in children:
                await child.wait()
    http.close()
    await bus.close()


async def _drive(nats_url: str, rounds: int, warm_up: int) -> Percentiles:
    times_us: list[float] = []
    async with chain(Server(nats_url)) as hops:
        for number in range(rounds + warm_up):
            took_us = await hops.send()
            if number >= warm_up:
                times_us.append(took_us)
            await asyncio.sleep(0.002)
    return percentiles(times_us)


def measure(rounds: int = 1500, warm_up: int = 200) -> Percentiles:
    """Return the floor on this machine now; starts and ends its own server and processes."""
    with tempfile.TemporaryDirectory() as folder, NatsProcess(Path(folder)) as server:
        return uvloop.run(_drive(server.url, rounds, warm_up))


def main() -> None:
    """Run one role, or measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", choices=["first", "relay", "last"])
    parser.add_argument("--nats", default="")
    parser.add_argument("--user", default="")
    parser.add_argument("--ws", default="")
    parser.add_argument("--http", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.role is None:
        floor = measure()
        print(f"floor p50 {floor.p50_us:.0f} us, p99 {floor.p99_us:.0f} us over {floor.samples} rounds")
        return
    server = Server(arguments.nats, arguments.user, sys.stdin.readline().strip())
    if arguments.role == "first":
        venue = msgspec.json.decode(sys.stdin.readline(), type=Venue | None)
        uvloop.run(_first(server, arguments.ws, venue))
    elif arguments.role == "relay":
        uvloop.run(_relay(server))
    else:
        uvloop.run(_last(server, arguments.http))


if __name__ == "__main__":
    main()

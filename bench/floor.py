"""Measure the floor of tick-to-order: the same hops with no logic at all.

One process receives a WebSocket frame and publishes it on core NATS, a second
relays it, a third appends one message to a stream on a synced server and, once
that is acknowledged, writes an HTTP request to a kept-alive raw connection. The
time runs from the frame's arrival in the first process to the moment before
the request's bytes leave the third, as the executor measures its own: all
processes share the machine's monotonic clock.

`python -m bench.floor` prints the percentiles; `measure` is what the other
benches call so that floor and figure come from one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nats
import uvloop
from nats.js.api import StorageType, StreamConfig
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from bench.nats_process import NatsProcess

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


async def _first(ws_url: str, nats_url: str) -> None:
    bus = await nats.connect(nats_url, pending_size=0)
    async with connect(ws_url, compression=None) as ws:
        async for _ in ws:
            await bus.publish("floor.a", str(time.monotonic_ns()).encode())


async def _relay(nats_url: str) -> None:
    bus = await nats.connect(nats_url, pending_size=0)
    subscription = await bus.subscribe("floor.a")
    async for message in subscription.messages:
        await bus.publish("floor.b", message.data)


async def _last(nats_url: str, http_port: int) -> None:
    bus = await nats.connect(nats_url, pending_size=0)
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


async def _drive(nats_url: str, rounds: int, warm_up: int) -> Percentiles:
    connected = asyncio.Event()
    sockets: list[ServerConnection] = []

    async def keep(socket: ServerConnection) -> None:
        sockets.append(socket)
        connected.set()
        await socket.wait_closed()

    bus = await nats.connect(nats_url)
    await bus.jetstream().add_stream(
        StreamConfig(name="FLOOR", subjects=["floor.journal"], storage=StorageType.FILE)
    )
    done = await bus.subscribe("floor.done")
    http = await asyncio.start_server(_answer, "127.0.0.1", 0)
    http_port = http.sockets[0].getsockname()[1]
    async with serve(keep, "127.0.0.1", 0, compression=None) as ws:
        ws_url = f"ws://127.0.0.1:{next(iter(ws.sockets)).getsockname()[1]}"
        command = [sys.executable, "-m", "bench.floor", "--nats", nats_url]
        start = asyncio.create_subprocess_exec
        children = [
            await start(*command, "--role", "last", "--http", str(http_port)),
            await start(*command, "--role", "relay"),
        ]
        await asyncio.sleep(1.5)  # subscriptions of the first two stand before the third can speak
        children.append(await start(*command, "--role", "first", "--ws", ws_url))
        try:
            await asyncio.wait_for(connected.wait(), 20)
            times_us: list[float] = []
            for number in range(rounds + warm_up):
                await sockets[0].send(_FRAME)
                message = await done.next_msg(timeout=10)
                arrived, left = message.data.split()
                if number >= warm_up:
                    times_us.append((int(left) - int(arrived)) / 1000)
                await asyncio.sleep(0.002)
        finally:
            for child in children:
                child.terminate()
            for child in children:
                await child.wait()
    http.close()
    await bus.close()
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
    parser.add_argument("--ws", default="")
    parser.add_argument("--http", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.role == "first":
        uvloop.run(_first(arguments.ws, arguments.nats))
    elif arguments.role == "relay":
        uvloop.run(_relay(arguments.nats))
    elif arguments.role == "last":
        uvloop.run(_last(arguments.nats, arguments.http))
    else:
        floor = measure()
        print(f"floor p50 {floor.p50_us:.0f} us, p99 {floor.p99_us:.0f} us over {floor.samples} rounds")


if __name__ == "__main__":
    main()

"""What one POST on a kept-alive connection costs: raw, with our transport, with httpx's own.

    python -m bench.transport [requests per round]

The server is a process of its own that answers a create with a fixed body. All
candidates take turns in short rounds of one run, so that a busy machine slows
all of them alike; the ratios are what counts.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import cast

import httpx
import msgspec
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from libs.common.domain.side import Side
from libs.common.kalshi.model import Accepted
from libs.common.kalshi.order_sender import NewOrder, OrderSender
from libs.common.kalshi.presign import Presigner
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.clock import SystemClock

ROUNDS = 10
ORDER = NewOrder("KXGOLD15M-26AUG102130-30", 2, "dora-sim-1-1-0-deadbeef", Side.BID, 5_600, 1_000)
BODY = msgspec.json.encode(
    {
        "order_id": "2597b999-f887-4195-8bac-c3f97a1f2021",
        "client_order_id": ORDER.client_order_id,
        "fill_count": "0.00",
        "remaining_count": "10.00",
        "ts_ms": 1_781_159_360_866,
    }
)
ANSWER = (
    b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
)
PAYLOAD = b'{"ticker":"KXGOLD15M-26AUG102130-30","side":"bid","count":"10.00","price":"0.5600"}'
PATH = "/trade-api/v2/portfolio/events/orders"

Once = Callable[[], Awaitable[None]]


class Answering(asyncio.Protocol):
    """Answers whenever a whole request (head and announced body) has come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """Collect until the request is whole."""
        self._data += data
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        if len(rest) >= length:
            self._data = rest[length:]
            self._transport.write(ANSWER)


def serve(told: Connection) -> None:
    """Run the server until the parent ends it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Answering, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    uvloop.run(main())


class Raw(asyncio.Protocol):
    """The floor: write the bytes, wait for as many as must come back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Wake the waiter at the end of the answer."""
        self._missing -= len(data)
        if self._missing <= 0:
            self._waiter.set_result(None)

    async def post(self, data: bytes) -> None:
        """Send one request and wait for its answer."""
        self._missing = len(ANSWER)
        self._waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        await self._waiter


def signer() -> Signer:
    """Return a signer of a fresh RSA key, the kind that costs most."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Signer.from_pem("11111111-2222-3333-4444-555555555555", pem)


async def measure(port: int, count: int) -> dict[str, list[float]]:  # noqa: C901 - candidates side by side
    """Return seconds of each request by candidate."""
    base = f"http://127.0.0.1:{port}"
    url, head = httpx.URL(base + PATH), {"content-type": "application/json"}
    stock, ours = httpx.AsyncHTTPTransport(), make_transport(base)
    stock_client, our_client = (
        httpx.AsyncClient(transport=stock),
        httpx.AsyncClient(transport=make_transport(base)),
    )
    _, raw = await asyncio.get_running_loop().create_connection(Raw, "127.0.0.1", port)
    raw_head = b"POST %s HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    raw_bytes = raw_head % (PATH.encode(), ours.netloc, len(PAYLOAD))
    clock = SystemClock()
    presigner = Presigner(signer(), clock)
    sender = OrderSender(base + "/trade-api/v2", make_transport(base), presigner, clock)
    presigner.watch(*sender.constant_routes)
    presigner.start()
    inline = OrderSender(base + "/trade-api/v2", make_transport(base), signer(), clock)

    async def by_stock() -> None:
        await (
            await stock.handle_async_request(httpx.Request("POST", url, headers=head, content=PAYLOAD))
        ).aread()

    async def by_ours() -> None:
        assert (await ours.exchange(raw_bytes, PAYLOAD)).status == 201

    async def by_ours_httpx() -> None:
        await ours.handle_async_request(httpx.Request("POST", url, headers=head, content=PAYLOAD))

    async def by_stock_client() -> None:
        await stock_client.post(url, headers=head, content=PAYLOAD)

    async def by_our_client() -> None:
        await our_client.post(url, headers=head, content=PAYLOAD)

    async def by_sender() -> None:
        assert isinstance(await sender.create(ORDER, guard=lambda: None), Accepted)

    async def by_inline() -> None:
        assert isinstance(await inline.create(ORDER, guard=lambda: None), Accepted)

    candidates: dict[str, Once] = {
        "raw protocol, no parsing (floor)": lambda: raw.post(raw_bytes + PAYLOAD),
        "ours, exchange": by_ours,
        "ours, httpx.Request": by_ours_httpx,
        "ours, AsyncClient": by_our_client,
        "httpx transport, httpx.Request": by_stock,
        "httpx transport, AsyncClient": by_stock_client,
        "OrderSender, signed ahead (whole path)": by_sender,
        "OrderSender, RSA signed inline": by_inline,
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(ROUNDS + 1):
        for name, once in candidates.items():
            for _ in range(count):
                began = time.perf_counter()
                await once()
                if turn:  # the first round warms up
                    times[name].append(time.perf_counter() - began)
    presigner.stop()
    for transport in (stock, ours, stock_client, our_client):
        await transport.aclose()
    return times


def main() -> None:
    """Start the server, measure, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    listening, told = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(told,), daemon=True)
    server.start()
    times = uvloop.run(measure(listening.recv(), count))
    server.terminate()
    floor = statistics.median(next(iter(times.values())))
    print(f"{count * ROUNDS} POSTs each, kept alive, loopback, in turns; microseconds")
    print(f"{'':42}{'p50':>8}{'p99':>8}{'over floor':>12}{'ratio':>8}")
    for name, seconds in times.items():
        p50, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]
        over = (p50 - floor) * 1e6
        print(f"{name:42}{p50 * 1e6:8.0f}{p99 * 1e6:8.0f}{over:12.0f}{p50 / floor:8.2f}")


if __name__ == "__main__":
    main()

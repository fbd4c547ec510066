"""A simulated venue that runs in the test's process, on a free port, in a thread of its own.

``running_venue()`` gives the real HTTP face on the real core, with a listing
small enough to know by heart: one cent market with resting liquidity of an
internal maker, one tenth-of-a-cent market on shard 2, and two accounts.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import httpx
import uvicorn
import uvloop
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from libs.common.runtime.clock import Clock, SystemClock
from services.simexchange.core.fifo_book import FifoBook
from services.simexchange.core.markets import EventSpec, MarketSpec, SeriesSpec
from services.simexchange.core.requests import CreateRequest, Placed
from services.simexchange.core.venue import Venue
from services.simexchange.shell.auth import KeyRing, NewKey, generate_key
from services.simexchange.shell.http_app import HttpApp
from services.simexchange.shell.rest import RestFace
from services.simexchange.shell.rest_admin import AdminFace
from services.simexchange.shell.rest_terms import TermsFace

T = TypeVar("T")

CENT_MARKET = "SIMTEST-26NOV21-A"
DECI_MARKET = "SIMDECI-26NOV21-B"
MAKER = "maker"
NS_PER_S = 1_000_000_000


class _Server(uvicorn.Server):
    """A server that leaves the test process's signals alone and stops at once, not at its next tick."""

    async def main_loop(self) -> None:
        """Wait to be told; uvicorn's own loop looks ten times a second."""
        await self.on_tick(0)
        self.stopping = asyncio.Event()
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut what is open; uvicorn's own would wait a tenth of a second for nothing."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class RunningVenue:
    """A venue that answers; ``call`` runs a function on its thread."""

    venue: Venue
    rest: RestFace
    port: int
    loop: asyncio.AbstractEventLoop
    keys: dict[str, NewKey]
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._client = httpx.Client(base_url=self.host, timeout=10, verify=False)  # noqa: S501 - plain http

    @property
    def host(self) -> str:
        """Return the host part of the address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def rest_url(self) -> str:
        """Return the base of the trade API."""
        return f"{self.host}/trade-api/v2"

    def call(self, action: Callable[[], T]) -> T:
        """Run a function on the venue's thread and return what it returns."""

        async def run() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        account: str | None = "alice",
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send a signed request (unsigned with ``account=None``) to a path below the API's root."""
        sent = {} if account is None else signed_headers(self.keys[account], method, path)
        content = b"" if body is None else json.dumps(body).encode()
        if content:
            sent["Content-Type"] = "application/json"
        return self._client.request(
            method, f"/trade-api/v2{path}", content=content, headers=sent | (headers or {})
        )

    def sim(self, method: str, path: str, body: object = None) -> Any:
        """Ask the other side of the counter; a refusal fails the test."""
        answer = self._client.request(method, f"/sim/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def throw(self, kind: str, **rest: object) -> None:
        """Throw a fault."""
        self.sim("POST", "faults", {"kind": kind, **rest})

    def create(self, account: str = "alice", /, **changes: Any) -> httpx.Response:
        """Place an order: one contract, bid 0.10, resting; say what differs."""
        return self.request("POST", "/portfolio/events/orders", order_body(**changes), account=account)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()


def order_body(**changes: object) -> dict[str, object]:
    """Return the body of a create, with what differs from one contract at 0.10."""
    body: dict[str, object] = {
        "ticker": CENT_MARKET,
        "side": "bid",
        "count": "1.00",
        "price": "0.1000",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }
    body.update(changes)
    return {key: value for key, value in body.items() if value is not None}


def signed_headers(key: NewKey, method: str, path: str, *, skew_ms: int = 0) -> dict[str, str]:
    """Return the three headers for a path below the API's root."""
    stamp = str(time.time_ns() // 1_000_000 + skew_ms)
    message = f"{stamp}{method}/trade-api/v2{path.partition('?')[0]}".encode()
    private = serialization.load_pem_private_key(key.private_pem, None)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        signature = private.sign(message)
    else:
        assert isinstance(private, rsa.RSAPrivateKey)
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
        signature = private.sign(message, pss, hashes.SHA256())
    return {
        "KALSHI-ACCESS-KEY": key.key_id,
        "KALSHI-ACCESS-TIMESTAMP": stamp,
        "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
    }


def list_markets(venue: Venue, now_ns: int, *, seconds: int = 3600) -> None:
    """List the two series, their events and markets, and the internal maker's liquidity."""
    venue.add_account(MAKER, cash_by_shard={}, now_ns=now_ns, is_internal=True)
    venue.add_series(SeriesSpec("SIMTEST", "Test series"))
    venue.add_event(EventSpec("SIMTEST-26NOV21", "SIMTEST", "Test event"), now_ns)
    venue.add_series(SeriesSpec("SIMDECI", "Tenths", fee_type="quadratic_with_maker_fees", shard=2))
    venue.add_event(
        EventSpec("SIMDECI-26NOV21", "SIMDECI", "Tenths event", shard=2, is_mutually_exclusive=True), now_ns
    )
    close_ns = now_ns + seconds * NS_PER_S
    cent, deci = grid_of_steps((0, 10_000, 100)), grid_of_steps((0, 10_000, 10))
    venue.add_market(
        MarketSpec(CENT_MARKET, "SIMTEST-26NOV21", "Cents?", cent, now_ns, close_ns, settlement_timer_s=1),
        FifoBook(),
        now_ns,
    )
    venue.add_market(
        MarketSpec(DECI_MARKET, "SIMDECI-26NOV21", "Tenths?", deci, now_ns, close_ns, structure="deci_cent"),
        FifoBook(),
        now_ns,
    )
    for market in (CENT_MARKET, DECI_MARKET):
        for side, price_e4 in ((Side.BID, 4700), (Side.ASK, 5200)):
            placed = venue.create(MAKER, CreateRequest(market, side, price_e4, 300), now_ns)
            assert isinstance(placed, Placed)


@functools.cache
def _key_of(kind: str) -> NewKey:
    """Return one key pair of a kind, made once: an RSA key takes a while."""
    return generate_key("", kind)


@contextlib.contextmanager
def running_venue(
    *,
    tier: str = "prestige",
    clock: Clock | None = None,
    cash_by_shard: dict[int, int] | None = None,
    prepare: Callable[[Venue, int], None] = list_markets,
) -> Iterator[RunningVenue]:
    """Run a venue with accounts ``alice`` (Ed25519) and ``bob`` (RSA), 1,000 dollars on shards 0 and 2."""
    clock = clock or SystemClock()
    venue = Venue(chance=random.Random(7), seed=7)
    ring, keys = KeyRing(), {}
    cash = {0: 1_000_000_000, 2: 1_000_000_000} if cash_by_shard is None else cash_by_shard
    for name, kind in (("alice", "ed25519"), ("bob", "rsa")):
        venue.add_account(name, tier=tier, cash_by_shard=dict(cash), now_ns=clock.now_ns())
        keys[name] = replace(_key_of(kind), key_id=venue.floor.ids.next())
        ring.add(keys[name].key_id, name, keys[name].public_pem)
    prepare(venue, clock.now_ns())

    def forget() -> None:
        venue.drain()

    rest = RestFace(venue, ring, clock, forget)
    admin = AdminFace(venue, ring, clock, forget, counters=lambda: rest.door.counters)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        HttpApp(rest, admin.app(TermsFace(venue, ring, clock, forget).routes())),
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
    )
    server, loop, started = _Server(config), uvloop.new_event_loop(), threading.Event()

    async def serve() -> None:
        task = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.001)
        started.set()
        await task

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run, daemon=True, name="venue")
    thread.start()
    assert started.wait(10), "the venue did not start"
    running = RunningVenue(venue, rest, listener.getsockname()[1], loop, keys)
    try:
        yield running
        assert running.call(venue.residual_e6) == 0, "money out of nowhere"
    finally:
        running.close()
        loop.call_soon_threadsafe(server.stopping.set)
        thread.join(10)
        listener.close()

"""The whole simulated exchange in the test's own loop: both faces, the player, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from libs.common.kalshi.signing import Signer
from libs.common.runtime.clock import SystemClock
from libs.common.runtime.log import EventLog
from services.simexchange.config import Config, Sim
from services.simexchange.shell.keys import AccountEntry, VenueFile
from services.simexchange.wiring import Exchange, find_liquidity

Message = dict[str, Any]


def host_of(at: VenueFile) -> str:
    """Return the address without the API's root, where ``/sim`` lives."""
    return at.rest_url.removesuffix("/trade-api/v2")


class RunningExchange:
    """A running exchange and what a client needs to talk to it."""

    def __init__(self, exchange: Exchange, at: VenueFile, http: httpx.AsyncClient) -> None:
        self.exchange = exchange
        self.at = at
        self._http = http

    def account(self, name: str) -> AccountEntry:
        """Return the row of `venue.json`."""
        return next(a for a in self.at.accounts if a.name == name)

    def signer(self, name: str = "trade") -> Signer:
        """Return the signer of a key."""
        entry = self.account(name)
        return Signer.from_pem(entry.key_id, Path(entry.key_file).read_bytes())

    async def request(
        self, method: str, path: str, body: object = None, *, key: str = "trade"
    ) -> httpx.Response:
        """Send a signed request to a path below the API's root."""
        full = f"/trade-api/v2{path}"
        signed = self.signer(key).headers(method, full.partition("?")[0], time.time_ns() // 1_000_000)
        return await self._http.request(method, full, json=body, headers=signed)

    async def order(
        self, market: str, side: str, price: str, count: str = "1.00", *, key: str = "trade", **rest: object
    ) -> Message:
        """Place an order that must be accepted."""
        body = {
            "ticker": market,
            "side": side,
            "price": price,
            "count": count,
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross",
            **rest,
        }
        answer = await self.request("POST", "/portfolio/events/orders", body, key=key)
        assert answer.status_code == 201, answer.text
        placed: Message = answer.json()
        return placed

    async def sim(self, path: str, body: object = None) -> Any:
        """Ask the other side of the counter."""
        method = "GET" if body is None else "POST"
        answer = await self._http.request(method, f"/sim/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    @contextlib.asynccontextmanager
    async def feed(self, key: str = "trade", **options: Any) -> AsyncIterator[Feed]:
        """Open a WebSocket connection."""
        headers = self.signer(key).headers("GET", "/trade-api/ws/v2", time.time_ns() // 1_000_000)
        # A reader that leaves in the middle of a burst does not wait for the rest of it.
        options = {"ping_interval": None, "close_timeout": 0.2, **options}
        async with connect(self.at.ws_url, additional_headers=headers, **options) as connection:
            yield Feed(connection)


class Feed:
    """One connection; remembers everything it heard."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard: list[Message] = []

    async def say(self, cmd: str, command_id: int = 1, **params: object) -> None:
        """Send a command."""
        command: Message = {"id": command_id, "cmd": cmd}
        if params:
            command["params"] = params
        await self.connection.send(json.dumps(command))

    async def next(self, timeout_s: float = 5) -> Message:
        """Return the next message."""
        async with asyncio.timeout(timeout_s):
            message: Message = json.loads(await self.connection.recv())
        self.heard.append(message)
        return message

    async def until(self, kind: str, timeout_s: float = 5, **msg: object) -> Message:
        """Return the next message of a type whose body has these values; what comes before is remembered."""
        async with asyncio.timeout(timeout_s):
            while True:
                message = await self.next(timeout_s)
                body = message.get("msg", {})
                if message["type"] == kind and all(body.get(k) == v for k, v in msg.items()):
                    return message


@contextlib.asynccontextmanager
async def running_exchange(folder: Path, **sim: Any) -> AsyncIterator[RunningExchange]:
    """Run an exchange whose files lie in ``folder``; ``sim`` is its configuration."""
    config = Config(sim=Sim(venue_file=str(folder / "sim" / "venue.json"), **sim))
    exchange = Exchange(config, find_liquidity(config), EventLog(), SystemClock())
    stop = asyncio.Event()
    serving = asyncio.create_task(exchange.serve(stop))
    await asyncio.wait({serving, asyncio.create_task(exchange.answers.wait())}, return_when="FIRST_COMPLETED")
    if serving.done():
        await serving
    assert exchange.at is not None
    async with httpx.AsyncClient(base_url=host_of(exchange.at), timeout=10) as http:
        try:
            yield RunningExchange(exchange, exchange.at, http)
            assert exchange.venue.residual_e6() == 0, "money out of nowhere"
        finally:
            stop.set()
            await serving

"""Fixtures that start real servers; everything else is built by hand in the test that needs it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from libs.common.bus.api import BusError
from libs.common.bus.nats import NatsBus
from libs.common.bus.streams import create_streams
from tests.support.bus import ENV, Connect
from tests.support.nats_server import IMAGE as NATS_IMAGE
from tests.support.nats_server import NatsServer, has_image, own_server, shared_server
from tests.support.valkey_server import ValkeyServer, own_valkey


@pytest.fixture(scope="session")
def _given_nats() -> Iterator[str | None]:
    """Yield the address of a server that is not ours to restart, or None: then each test starts its own."""
    if os.environ.get("DORA_TEST_NATS_URL") or has_image(NATS_IMAGE):
        with shared_server() as url:
            yield url
    else:
        yield None


@pytest.fixture
def nats_url(_given_nats: str | None) -> Iterator[str]:
    """Yield the address of a real, synced NATS server without any stream."""
    if _given_nats is None:
        with own_server() as server:
            yield server.url
    else:
        # In a thread of its own: an async fixture may be the one that asks.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, _delete_streams(_given_nats)).result()
        yield _given_nats


@pytest.fixture
def nats_server() -> Iterator[NatsServer]:
    """Yield a server of the test's own, which may be frozen, killed and restarted."""
    with own_server() as server:
        yield server


@pytest.fixture
async def streams_url(nats_url: str) -> str:
    """Return the address of a server with the streams of the ``sim`` environment."""
    await create_streams(nats_url, ENV)
    return nats_url


@pytest.fixture
async def connect(nats_url: str) -> AsyncIterator[Connect]:
    """Yield a function that connects a bus to the test's server; all are drained at the end."""
    opened: list[NatsBus] = []

    async def open_bus(name: str = "test", **options: Any) -> NatsBus:
        bus = await NatsBus.connect(options.pop("url", nats_url), name=name, env=ENV, **options)
        opened.append(bus)
        return bus

    yield open_bus
    for bus in opened:
        with contextlib.suppress(BusError):
            await bus.drain()


@pytest.fixture
def valkey_server() -> Iterator[ValkeyServer]:
    """Yield a Valkey of the test's own."""
    with own_valkey() as server:
        yield server


async def _delete_streams(url: str) -> None:
    bus = await NatsBus.connect(url, name="cleaner", env=ENV)
    try:
        names = json.loads((await bus.request("$JS.API.STREAM.NAMES", b"{}")).data).get("streams") or []
        for name in names:
            await bus.request(f"$JS.API.STREAM.DELETE.{name}", b"")
    finally:
        await bus.drain()

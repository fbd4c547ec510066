"""A real HTTP server on a free port whose answers are written by the test, byte by byte if need be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


HANG = b"<hang>"
"""Answer nothing and keep the connection open."""
DROP = b"<drop>"
"""Read the request whole, then close without an answer."""

Script = Callable[[Seen], bytes]


def always(said: bytes) -> Script:
    """Return the script that says the same to everything."""
    return lambda _: said


def answer(status: int, content: Any = None, *, close: bool = False) -> bytes:
    """Return an HTTP answer; bytes as they are, None as no body, all else as JSON."""
    body = b"" if content is None else content if isinstance(content, bytes) else msgspec.json.encode(content)
    connection = b"connection: close\r\n" if close else b""
    if status == 204:
        return b"HTTP/1.1 204 No Content\r\n%s\r\n" % connection
    head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%s\r\n"
    return head % (status, len(body), connection) + body


@dataclass(slots=True)
class ScriptedHttp:
    """The server, what it saw, and what it says next."""

    script: Script
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                request = await _read(reader, number)
                self.seen.append(request)
                said = self.script(request)
                if said == HANG:
                    await reader.read()
                    break
                if said == DROP:
                    break
                writer.write(said)
                await writer.drain()
        writer.close()

    def drop_all(self) -> None:
        """Close every connection as an edge closes idle ones."""
        for writer in self.writers:
            writer.close()


@contextlib.asynccontextmanager
async def scripted_http(script: Script, base: str = "/trade-api/v2") -> AsyncIterator[ScriptedHttp]:
    """Yield a running server; its `url` is a REST base address."""
    http = ScriptedHttp(script)
    server = await asyncio.start_server(http.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    http.url = f"http://127.0.0.1:{port}{base}"
    try:
        yield http
    finally:
        server.close()
        http.drop_all()
        await server.wait_closed()


async def _read(reader: asyncio.StreamReader, number: int) -> Seen:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines[1:] if x)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, target, headers, body, number)

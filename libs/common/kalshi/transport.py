"""An HTTP transport for one host that costs little and never sends anything twice.

httpx's own transport spends half a millisecond of processor time per request,
more than the network on a good day; this one writes one prepared head and body
with a single call and parses the answer with httptools (`bench/transport.py`,
ADR 0003). It is also an `httpx.AsyncBaseTransport`, so whatever speaks httpx
can use it and tests can put `httpx.MockTransport` in its place.

Rules of the file:

1. Nothing is retried. A kept-alive connection found closed *before* the first
   byte is replaced; after the first byte any failure is the caller's to judge.
2. The guard is asked, without any await between, right before the bytes are
   handed to the socket; its refusal leaves the connection unused.
3. A connection carries one request at a time and returns to the pool only after
   a whole answer; a cancelled or timed out request closes its connection, so no
   late answer can be taken for another's.
4. All waiting ends at a deadline of the event loop's clock.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import httpx

from libs.common.kalshi.http_connection import BODY_LENGTH_MAX, HttpConnection, RawAnswer

__all__ = [
    "BODY_LENGTH_MAX",
    "Guard",
    "LeanTransport",
    "OnWire",
    "RawAnswer",
    "SendAborted",
    "make_transport",
]

Guard = Callable[[], str | None]
"""Asked right before the bytes leave: a reason aborts the send, None lets it go."""

OnWire = Callable[[int], None]
"""Told the monotonic time in nanoseconds right before the bytes leave."""

GUARD_EXTENSION: Final = "dora.guard"
ON_WIRE_EXTENSION: Final = "dora.on_wire"

_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"host"}
)


class SendAborted(Exception):  # noqa: N818 - named for what happened
    """The guard refused: no byte left."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LeanTransport(httpx.AsyncBaseTransport):
    """Kept-alive connections to one origin.

    Args:
        origin: Scheme, host and port.
        ssl_context: For https; the default verifies against the system's authorities.
        connections_max: How many requests may be under way at once.
        connect_s: Longest time for a new connection, TLS included.
        read_s: Longest time for an answer where the request says nothing else.
        idle_s: An idle connection older than this is not used again: the venue's
            edge closes idle ones, and a write into a closing one ends as unknown.
    """

    def __init__(
        self,
        origin: httpx.URL,
        *,
        ssl_context: ssl.SSLContext | None = None,
        connections_max: int = 16,
        connect_s: float = 2.0,
        read_s: float = 5.0,
        idle_s: float = 20.0,
    ) -> None:
        if origin.scheme not in {"http", "https"} or not origin.host:
            raise ValueError(f"expected an http or https address, was {origin!s}")
        self._host = origin.host
        self._port = origin.port or (443 if origin.scheme == "https" else 80)
        self._netloc = origin.netloc
        self._scheme = origin.scheme
        self._ssl = (ssl_context or ssl.create_default_context()) if origin.scheme == "https" else None
        self._connect_s = connect_s
        self._read_s = read_s
        self._idle_s = idle_s
        self._idle: deque[HttpConnection] = deque()
        self._slots = asyncio.Semaphore(connections_max)
        self._is_closed = False
        self.connects_total = 0
        """Connections made so far."""

    @property
    def netloc(self) -> bytes:
        """Return the value of the Host header."""
        return self._netloc

    async def exchange(
        self,
        head: bytes,
        body: bytes,
        *,
        deadline_s: float | None = None,
        guard: Guard | None = None,
        on_wire: OnWire | None = None,
    ) -> RawAnswer:
        """Send one request and return its whole answer.

        Args:
            head: Request line and headers, Host and Content-Length included, ending in an empty line.
            body: As announced in the head.
            deadline_s: For everything together: pool, connect, write, answer.
            guard: See :data:`Guard`.
            on_wire: See :data:`OnWire`.

        Raises:
            SendAborted: The guard refused.
            httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout: No byte left.
            httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError: Bytes left; outcome unknown.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._read_s if deadline_s is None else deadline_s)
        if self._slots.locked():
            try:
                async with asyncio.timeout_at(deadline):
                    await self._slots.acquire()
            except TimeoutError:
                raise httpx.PoolTimeout("expected a free connection before the deadline, was none") from None
        else:
            await self._slots.acquire()  # free: returns without yielding
        connection: HttpConnection | None = None
        try:
            connection = self._take_idle(loop.time())
            if connection is None:
                connection = await self._connect(loop, deadline)
            if guard is not None:
                _ask(guard)
            if on_wire is not None:
                on_wire(time.monotonic_ns())
            answer = await connection.send(head + body if body else head, deadline)
        except BaseException as e:
            if connection is not None:
                if isinstance(e, SendAborted):
                    self._put_idle(connection, loop.time())
                else:
                    connection.close()
            raise
        else:
            self._put_idle(connection, loop.time())
            return answer
        finally:
            self._slots.release()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send an httpx request; guard and hook travel in its extensions."""
        if request.url.scheme != self._scheme or request.url.netloc != self._netloc:
            raise httpx.UnsupportedProtocol(
                f"expected {self._scheme}://{self._netloc.decode()}, was {request.url!s}", request=request
            )
        body = await request.aread()
        timeout = request.extensions.get("timeout") or {}
        answer = await self.exchange(
            _head_of(request, self._netloc, len(body)),
            body,
            deadline_s=timeout.get("read"),
            guard=request.extensions.get(GUARD_EXTENSION),
            on_wire=request.extensions.get(ON_WIRE_EXTENSION),
        )
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body, request=request)

    async def warm(self, count: int = 1) -> None:
        """Open connections ahead, so that the first orders need not.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout: The host did not take the connection.
        """
        loop = asyncio.get_running_loop()
        for _ in range(max(0, count - len(self._idle))):
            self._put_idle(await self._connect(loop, loop.time() + self._connect_s), loop.time())

    async def aclose(self) -> None:
        """Close every idle connection; those under way close when they are done."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def _take_idle(self, now: float) -> HttpConnection | None:
        # Newest first: the others grow old and are closed when their turn comes.
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and now - connection.idle_since < self._idle_s:
                return connection
            connection.close()
        return None

    def _put_idle(self, connection: HttpConnection, now: float) -> None:
        if self._is_closed or not connection.is_usable:
            connection.close()
            return
        connection.idle_since = now
        self._idle.append(connection)
        while self._idle and (not self._idle[0].is_usable or now - self._idle[0].idle_since > self._idle_s):
            self._idle.popleft().close()

    async def _connect(self, loop: asyncio.AbstractEventLoop, deadline: float) -> HttpConnection:
        until = min(deadline, loop.time() + self._connect_s)
        try:
            async with asyncio.timeout_at(until):
                _, connection = await loop.create_connection(
                    lambda: HttpConnection(loop),
                    self._host,
                    self._port,
                    ssl=self._ssl,
                    server_hostname=self._host if self._ssl is not None else None,
                )
        except TimeoutError:
            raise httpx.ConnectTimeout(
                f"expected a connection to {self._host}:{self._port} in time"
            ) from None
        except (OSError, ssl.SSLError) as e:
            raise httpx.ConnectError(f"expected a connection to {self._host}:{self._port}, was {e}") from None
        self.connects_total += 1
        return connection


def make_transport(
    base_url: str,
    *,
    ssl_context: ssl.SSLContext | None = None,
    connections_max: int = 16,
    connect_s: float = 2.0,
    read_s: float = 5.0,
    idle_s: float = 20.0,
) -> LeanTransport:
    """Return the transport for the host of a REST base address."""
    return LeanTransport(
        httpx.URL(base_url),
        ssl_context=ssl_context,
        connections_max=connections_max,
        connect_s=connect_s,
        read_s=read_s,
        idle_s=idle_s,
    )


def _ask(guard: Guard) -> None:
    reason = guard()
    if reason is not None:
        raise SendAborted(reason)


def _head_of(request: httpx.Request, netloc: bytes, length: int) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path), b"host: " + netloc]
    lines += [
        b"%s: %s" % (name, value) for name, value in request.headers.raw if name.lower() not in _HOP_BY_HOP
    ]
    if length or request.method in {"POST", "PUT"}:
        lines.append(b"content-length: %d" % length)
    return b"\r\n".join(lines) + b"\r\n\r\n"

"""One kept-alive HTTP/1.1 connection, as an asyncio protocol over httptools.

It knows one request at a time: `send` writes the bytes at once and waits for a
whole answer. Anything the peer says unasked, and any failure, ends the
connection; it never comes back to life.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import Final, cast

import httptools
import httpx

BODY_LENGTH_MAX: Final = 64 * 1024 * 1024
HEADERS_MAX: Final = 200
_NO_LINGER: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer with its body whole."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class HttpConnection(asyncio.Protocol):
    """A connection and the request that it carries, if any."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[RawAnswer] | None = None
        self._is_lost = False
        self._keeps_alive = True
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._length = 0
        self._has_head = False
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        """Return whether a request may be written: open, idle, and kept alive by the peer."""
        return (
            not self._is_lost
            and self._keeps_alive
            and self._waiter is None
            and self._transport is not None
            and not self._transport.is_closing()
        )

    async def send(self, data: bytes, deadline: float) -> RawAnswer:
        """Write a request and return its answer.

        Args:
            data: The whole request.
            deadline: By the event loop's clock.

        Raises:
            httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError: The outcome is unknown.
        """
        assert self.is_usable, "a connection was used while busy or lost"
        assert self._transport is not None
        waiter: asyncio.Future[RawAnswer] = self._loop.create_future()
        self._waiter = waiter
        timer = self._loop.call_at(deadline, self._expire)
        self._transport.write(data)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def close(self) -> None:
        """Drop the connection without ceremony; idempotent."""
        self._keeps_alive = False
        if self._transport is not None:
            self._forget_unsent()
            # Not `close()`: that waits until a peer who reads nothing has taken the buffered bytes.
            self._transport.abort()

    def _forget_unsent(self) -> None:
        # The kernel goes on sending, for minutes, what a closed socket left behind: an order that was given
        # up could still reach the venue. Lingering for no time at all drops it.
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came; end the connection on anything unasked or unreadable."""
        if self._waiter is None or self._waiter.done():
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as e:
            self._fail(httpx.RemoteProtocolError(f"expected an HTTP answer, was {type(e).__name__}"))
            self.close()

    def eof_received(self) -> bool:
        """Take the end of an answer that has no length of its own, then close."""
        self._finish_at_eof()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Mark the end; a waiting request fails."""
        self._is_lost = True
        if exc is None:
            self._finish_at_eof()
        self._fail(
            httpx.ReadError(f"expected an answer, was a lost connection ({exc or 'closed by the peer'})")
        )

    # httptools' side

    def on_message_begin(self) -> None:
        """Start an answer; a second one nobody asked for makes the connection useless."""
        if self._waiter is None or self._waiter.done():
            self._keeps_alive = False
        self._headers = []
        self._chunks = []
        self._length = 0
        self._has_head = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header."""
        if len(self._headers) >= HEADERS_MAX:
            raise ValueError("too many headers")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Note that the head is whole."""
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the body, within the bound."""
        self._length += len(body)
        if self._length > BODY_LENGTH_MAX:
            raise ValueError("body too long")
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over; interim answers (1xx) are passed over."""
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            return
        self._keeps_alive = self._keeps_alive and self._parser.should_keep_alive()
        self._complete(status)

    def _complete(self, status: int) -> None:
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(RawAnswer(status, self._headers, body))

    def _finish_at_eof(self) -> None:
        self._keeps_alive = False
        if not self._has_head or self._waiter is None or self._waiter.done():
            return
        names = {name.lower() for name, _ in self._headers}
        if not names & {b"content-length", b"transfer-encoding"}:
            self._complete(self._parser.get_status_code())

    def _fail(self, error: httpx.TransportError) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _expire(self) -> None:
        self._fail(httpx.ReadTimeout("expected an answer before the deadline, was none"))

"""The process's own small HTTP face: ``/metrics``, ``/healthz``, ``/readyz``.

Served by the service's event loop on purpose: a loop that hangs answers
nothing, which is the truth. ``/healthz`` is 200 as long as the loop turns, for a
liveness probe that failed because the bus is away would only make restart
storms; ``/readyz`` says whether the service does its work, and why not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

_REQUEST_BYTES_MAX: Final = 8_192
_TIMEOUT_S: Final = 5.0
_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}

Page = Callable[[], tuple[int, str, bytes]]
"""Returns status, content type and body."""


class HttpFace:
    """A server of a few pages; made by :meth:`start`."""

    def __init__(self, pages: dict[str, Page]) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port, which the system chose where 0 was asked for."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=_REQUEST_BYTES_MAX)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close."""
        if self._server is not None:
            self._server.close()
            for task in tuple(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a caller that speaks no HTTP gets nothing
        finally:
            self._open.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _answer(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].split(b" ")
        path = words[1].split(b"?", 1)[0].decode("latin-1") if len(words) > 1 else ""
        status, kind, body = 404, "text/plain", b"not found\n"
        if words[0] not in (b"GET", b"HEAD"):
            status, body = 405, b"GET only\n"
        elif path in self._pages:
            status, kind, body = self._pages[path]()
        lines = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if words[0] == b"HEAD" else body)

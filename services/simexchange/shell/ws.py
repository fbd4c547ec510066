"""The WebSocket face: signed handshake, commands in, one frame a message out.

The library does the handshake, reads and answers pings; frames out are written
here, straight to the connection's transport, because a server's frame is
nothing but a short head before the payload, while the library's ``send`` costs
an await, a lock and a queue for each (measured: see the README). Every message
stays a frame of its own; only the write to the socket is shared.

A reader that falls behind by ``backlog_bytes_max`` gets the terminal error 25
on every sid and is closed (kalshi-api 23.4). Long before that, ``is_behind``
lets a player wait for its readers, since a simulated exchange can. What was
written says little about what was read: the kernel holds megabytes, seconds of
a fast tape. So readers are probed with pings, which stand in the same line as
the data; a pong that does not come back soon is a reader that is behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import websockets.asyncio.server as ws
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from libs.common.runtime.clock import Clock
from services.simexchange.core.channels import Hub
from services.simexchange.core.faults import FaultKind
from services.simexchange.core.requests import Rejection
from services.simexchange.core.subscriptions import Session
from services.simexchange.core.venue import Venue
from services.simexchange.shell.auth import KeyRing
from services.simexchange.shell.reply import refused

PATH: Final = "/trade-api/ws/v2"
HEARTBEAT_S: Final = 10.0
PROBE: Final = b"heartbeat"
HEARTBEAT_FRAME: Final = b"\x89\x09" + PROBE
CLOSE_FRAME: Final = b"\x88\x02\x03\xf0"
"""Code 1008, policy violation."""
BACKLOG_BYTES_MAX: Final = 16 << 20
BEHIND_BYTES: Final = 256 << 10
BEHIND_NS: Final = 150_000_000
PATIENCE_NS: Final = 5_000_000_000
"""A reader that answers no ping for this long is not waited for."""
CONNECTIONS_MAX: Final = 200
COMMAND_BYTES_MAX: Final = 64 << 20
DRAIN_S: Final = 10.0
NS_PER_MS: Final = 1_000_000


class _Line:
    """One connection's socket and session."""

    __slots__ = ("connection", "pinged_ns", "pong", "session", "silent_until_ns")

    def __init__(self, connection: ws.ServerConnection, session: Session) -> None:
        self.connection = connection
        self.session = session
        self.silent_until_ns = 0
        self.pong: asyncio.Future[float] | None = None
        """Done when the last probe was answered."""
        self.pinged_ns = 0

    def is_behind(self, now_ns: int) -> bool:
        """Return whether the reader has yet to take much of what was sent, and is worth waiting for."""
        if self.pong is not None and not self.pong.done():
            waited_ns = now_ns - self.pinged_ns
            return BEHIND_NS < waited_ns < PATIENCE_NS
        return self.connection.transport.get_write_buffer_size() > BEHIND_BYTES

    def is_open(self) -> bool:
        """Return whether a frame may be written: not once the library has begun the closing handshake."""
        return self.connection.state is State.OPEN and not self.connection.transport.is_closing()


class WebSocketFace:
    """Serves the hub's sessions; one of it per venue."""

    def __init__(
        self,
        venue: Venue,
        hub: Hub,
        keys: KeyRing,
        clock: Clock,
        *,
        backlog_bytes_max: int = BACKLOG_BYTES_MAX,
        on_malformed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._venue = venue
        self._hub = hub
        self._keys = keys
        self._clock = clock
        self._backlog_bytes_max = backlog_bytes_max
        self._on_malformed = on_malformed
        self._lines: set[_Line] = set()
        self._server: ws.Server | None = None
        self.frames_sent = 0
        self.overflows = 0

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port (asked for 0: any free one)."""
        self._server = await ws.serve(
            self._serve,
            host,
            port,
            process_request=self._admit,
            compression=None,
            ping_interval=None,
            max_size=COMMAND_BYTES_MAX,
            server_header=None,
        )
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def beat(self) -> None:
        """Ping every connection each ten seconds, as the venue does; runs until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for line in self._lines:
                if line.is_open():
                    line.connection.transport.write(HEARTBEAT_FRAME)

    async def probe(self, every_s: float) -> None:
        """Keep a ping of every connection on its way, to know how far its reader is; until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(every_s)
            for line in self._lines:
                if line.is_open() and (line.pong is None or line.pong.done()):
                    line.pinged_ns = self._clock.mono_ns()
                    line.pong = loop.create_future()
                    # Entered by hand: the library's own ping waits for a full socket to drain, and one
                    # slow reader would then stop the probes of all.
                    line.connection.pending_pings[PROBE] = (line.pong, loop.time())
                    line.connection.transport.write(HEARTBEAT_FRAME)

    @property
    def connections(self) -> int:
        """Return how many connections are open."""
        return len(self._lines)

    def is_behind(self) -> bool:
        """Return whether some reader has yet to take much of what was sent."""
        now_ns = self._clock.mono_ns()
        return any(line.is_behind(now_ns) for line in self._lines)

    def pump(self) -> None:
        """Send everything the venue has done since the last call."""
        if events := self._venue.drain():
            self._hub.publish(events, self._clock.now_ns() // NS_PER_MS)
        self.flush()

    def flush(self) -> None:
        """Write out what the sessions hold, apply connection faults, end readers that are too slow."""
        if self._venue.faults.rules:
            self._apply_faults()
        for line in list(self._lines):
            if line.session.out:
                self._write(line)

    # Inside ----------------------------------------------------------------------------------------

    def _write(self, line: _Line) -> None:
        out = line.session.out
        transport = line.connection.transport
        if not line.is_open():
            out.clear()
            return
        if line.silent_until_ns > self._clock.mono_ns():
            return
        self.frames_sent += len(out)
        transport.write(frames(out))
        out.clear()
        if transport.get_write_buffer_size() > self._backlog_bytes_max:
            self._overflow(line)

    def _overflow(self, line: _Line) -> None:
        """Tell every sid that its buffer overflowed, then close once the reader has taken what was sent."""
        self.overflows += 1
        self._lines.discard(line)
        self._hub.overflow(line.session, self._clock.now_ns() // NS_PER_MS)
        transport = line.connection.transport
        if not line.is_open():
            return
        transport.write(frames(line.session.out) + CLOSE_FRAME)
        line.session.out.clear()
        transport.close()
        asyncio.get_running_loop().call_later(DRAIN_S, transport.abort)

    def _apply_faults(self) -> None:
        faults = self._venue.faults
        if not self._lines:
            return
        if faults.take_kind(FaultKind.WS_SEQ_GAP) is not None:
            self._hub.skip_sequence()
        if faults.take_kind(FaultKind.WS_DISCONNECT) is not None:
            for line in self._lines:
                line.connection.transport.abort()
        if faults.take_kind(FaultKind.WS_OVERFLOW) is not None:
            for line in list(self._lines):
                self._overflow(line)
        if (rule := faults.take_kind(FaultKind.WS_SILENCE)) is not None:
            until_ns = self._clock.mono_ns() + int(rule.seconds * 1e9)
            for line in self._lines:
                line.silent_until_ns = until_ns

    def _admit(self, connection: ws.ServerConnection, request: Request) -> Response | None:
        """Refuse the upgrade unless path and signature are right; remember whose key it was."""
        if request.path.partition("?")[0] != PATH:
            return connection.respond(HTTPStatus.NOT_FOUND, "404 page not found")
        headers = request.headers
        found = self._keys.check(
            headers.get("KALSHI-ACCESS-KEY", ""),
            headers.get("KALSHI-ACCESS-TIMESTAMP", ""),
            headers.get("KALSHI-ACCESS-SIGNATURE", ""),
            "GET",
            PATH,
            self._clock.now_ns(),
        )
        if isinstance(found, Rejection):
            self._on_malformed(found.code)
            body = refused(found).body
            head = Headers({"Content-Type": "application/json", "Content-Length": str(len(body))})
            return Response(HTTPStatus.UNAUTHORIZED.value, "Unauthorized", head, body)
        if sum(line.session.account == found.account for line in self._lines) >= CONNECTIONS_MAX:
            return connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "too many connections")
        connection.username = found.account
        return None

    async def _serve(self, connection: ws.ServerConnection) -> None:
        session = self._hub.open(connection.username)
        line = _Line(connection, session)
        self._lines.add(line)
        try:
            async for command in connection:
                # Everything that happened before the command is told before its reply.
                self.pump()
                self._hub.receive(session, command, self._clock.now_ns() // NS_PER_MS)
                self.flush()
        except ConnectionClosed:
            pass
        finally:
            self._lines.discard(line)
            self._hub.close(session)


def frames(payloads: list[bytes]) -> bytes:
    """Return one unmasked text frame for each payload (RFC 6455 section 5.2), back to back."""
    parts: list[bytes] = []
    for payload in payloads:
        size = len(payload)
        if size < 126:
            parts.append(b"\x81" + size.to_bytes(1, "big"))
        elif size < 1 << 16:
            parts.append(b"\x81\x7e" + size.to_bytes(2, "big"))
        else:
            parts.append(b"\x81\x7f" + size.to_bytes(8, "big"))
        parts.append(payload)
    return b"".join(parts)

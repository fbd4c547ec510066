"""The wire between a process's real HTTP client and the simulated venue's real REST face, without sockets.

The client's own transport and parser run unchanged above an `asyncio.Transport` that
carries bytes through virtual time. What was written arrives whatever becomes of the
writer; an answer reaches only a process that lives and a connection that is open.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from services.simexchange.shell.rest import RestFace
from tests.faults.process import Fate, Kind, Process

CUT_NS: Final = 20_000_000
"""After so long a client learns that its answer will not come."""

Asked = tuple[str, str]
"""Method and path below the API's root."""


class Door:
    """Takes whole requests, one after the other, and returns their answers."""

    def __init__(self, face: RestFace) -> None:
        self._face = face
        self.is_cut: Callable[[Asked], bool] = lambda _: False
        """Which answers are lost on their way, the request being done."""

    def answer(self, asked: Asked, data: bytes) -> bytes | None:
        """Do a request and return the answer's bytes, or None if they are lost."""
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        target = lines[0].split(b" ")[1]
        path, _, query = target.partition(b"?")
        scope: dict[str, Any] = {
            "type": "http",
            "method": asked[0],
            "path": path.decode(),
            "raw_path": path,
            "query_string": query,
            "headers": [
                (name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines[1:])
            ],
        }
        said: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            said.append(message)

        work = self._face(scope, receive, send)
        with contextlib.suppress(StopIteration):
            work.send(None)
            raise AssertionError("the venue answers without waiting")
        if self.is_cut(asked):
            return None
        begun, whole = said
        status, content = begun["status"], whole["body"]
        length = b"" if status == 204 else b"content-length: %d\r\n" % len(content)
        return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%s\r\n%s" % (status, length, content)


class Wire(asyncio.Transport):
    """One connection."""

    def __init__(self, process: Process, protocol: asyncio.Protocol, door: Door) -> None:
        super().__init__()
        self._process = process
        self._protocol = protocol
        self._door = door
        self._is_closed = False

    def write(self, data: Any) -> None:
        """Send a whole request."""
        method, target, _ = bytes(data[: data.index(b"\r\n")]).decode().split(" ")
        asked = (method, target.partition("?")[0].removeprefix("/trade-api/v2"))
        kind = Kind.READ if method == "GET" else Kind.EFFECT
        what = " ".join(asked)
        loop = self._process.loop

        def leave(fate: Fate) -> None:
            if fate is Fate.NO_REQUEST:
                loop.in_world(CUT_NS, lambda: self._process.hear(self._cut))
            else:
                loop.in_world(loop.weather.out_ns, lambda: there(fate))

        def there(fate: Fate) -> None:
            if kind is Kind.EFFECT:
                self._process.arrive(what)
            answer = self._door.answer(asked, bytes(data))
            if answer is None or fate is Fate.NO_ANSWER:
                loop.in_world(CUT_NS, lambda: self._process.hear(self._cut))
            else:
                loop.in_world(loop.weather.back_ns, lambda: self._process.hear(lambda: self._back(answer)))

        self._process.leave(kind, what, leave)

    def abort(self) -> None:
        """Forget the connection."""
        if not self._is_closed:
            self._is_closed = True
            self._process.loop.call_soon(self._protocol.connection_lost, None)

    def close(self) -> None:
        """Do the same."""
        self.abort()

    def is_closing(self) -> bool:
        """Return whether it is of no more use."""
        return self._is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return nothing: there is no socket."""
        return default

    def _back(self, answer: bytes) -> None:
        if not self._is_closed:
            self._protocol.data_received(answer)

    def _cut(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._protocol.connection_lost(ConnectionResetError("cut"))

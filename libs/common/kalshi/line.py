"""The line to the venue: sign, write, and say plainly whether bytes left.

Everything that talks REST goes through here. The order path builds the request
as bytes (a prepared prefix per route, signed headers, body) and uses the lean
transport directly; with any other httpx transport the same request is made as
an `httpx.Request`, for tests and for whoever prefers a stock transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote, urlencode

import httpx

from libs.common.kalshi.outcome import Answer, Lost, Unsent
from libs.common.kalshi.server_clock import ClockBounds, clock_bounds
from libs.common.kalshi.signing import SignsHeaders
from libs.common.kalshi.transport import Guard, LeanTransport, OnWire, SendAborted
from libs.common.runtime.clock import Clock

Query = tuple[tuple[str, str | int], ...]

_STAMP_OLD: Final = b"header_timestamp_expired"
NO_CONNECTION: Final = "connect_failed"
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class VenueLine:
    """Signed requests to one REST base address.

    Args:
        base_url: For example ``https://external-api.kalshi.com/trade-api/v2``, no slash at the end.
        transport: Any httpx transport; a :class:`LeanTransport` is used without httpx around it.
        signer: A signer or presigner; None for public reads only.
        clock: Stamps the requests.
        deadline_s: For one request, everything included.
    """

    def __init__(
        self,
        base_url: str,
        transport: httpx.AsyncBaseTransport,
        signer: SignsHeaders | None,
        clock: Clock,
        *,
        deadline_s: float = 5.0,
    ) -> None:
        url = httpx.URL(base_url.rstrip("/"))
        self.root: Final = url.path.rstrip("/")
        self._origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
        self._netloc = url.netloc
        self._transport = transport
        self._signer = signer
        self._clock = clock
        self._deadline_s = deadline_s
        self._prepared: dict[tuple[str, str], bytes] = {}
        self.on_clock: Callable[[ClockBounds], None] | None = None
        """Told what each answer proves about the venue's clock; None: nobody asks, nothing is parsed."""

    def path(self, *parts: str) -> str:
        """Return the path from the host's root, with each part quoted."""
        return "/".join((self.root, *(self.quoted(part) for part in parts)))

    @staticmethod
    def quoted(part: str) -> str:
        """Return one part of a path, with everything quoted that could end the part."""
        return quote(part, safe="-_.~")

    def prepare(self, *routes: tuple[str, str]) -> None:
        """Build the first lines of constant routes ahead; those with ids are built when sent."""
        self._prepared.update({route: self._prefix(*route) for route in routes})

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: bytes = b"",
        guard: Guard | None = None,
        on_wire: OnWire | None = None,
        deadline_s: float | None = None,
    ) -> Answer | Lost | Unsent:
        """Send one request, once.

        But for one answer: that its stamp is too old. The venue says so before it looks at the request,
        so nothing was done, and it goes once more under a new stamp, past the guard again.

        Args:
            method: Upper case.
            path: As `path` returns it; this is what is signed.
            query: Not signed.
            body: JSON, or empty.
            guard: Asked right before the bytes leave.
            on_wire: Told the time right before the bytes leave.
            deadline_s: Other than the line's own.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        seconds = self._deadline_s if deadline_s is None else deadline_s
        now_ms = self._clock.now_ns() // 1_000_000
        signed = {} if self._signer is None else self._signer.headers(method, path, now_ms)
        answer = await self._once(method, target, signed, body, seconds, guard, on_wire)
        if self._signer is None or not _is_stamp_old(answer):
            return answer
        now_ms = self._clock.now_ns() // 1_000_000
        signed = getattr(self._signer, "fresh", self._signer.headers)(method, path, now_ms)
        return await self._once(method, target, signed, body, seconds, guard, on_wire)

    async def _once(  # noqa: PLR0917 - a private continuation of `call`
        self,
        method: str,
        target: str,
        signed: dict[str, str],
        body: bytes,
        seconds: float,
        guard: Guard | None,
        on_wire: OnWire | None,
    ) -> Answer | Lost | Unsent:
        asked_ns = 0 if self.on_clock is None else self._clock.now_ns()
        try:
            if isinstance(self._transport, LeanTransport):
                raw = await self._transport.exchange(
                    self._head(method, target, signed, len(body)),
                    body,
                    deadline_s=seconds,
                    guard=guard,
                    on_wire=on_wire,
                )
                self._tell_clock(raw.headers, asked_ns)
                return Answer(raw.status, raw.body)
            return await self._call_stock(method, target, signed, body, seconds, guard, on_wire)
        except SendAborted as e:
            return Unsent(e.reason)
        except _NOT_SENT:
            return Unsent(NO_CONNECTION)
        except httpx.TimeoutException:
            return Lost("timeout")
        except httpx.TransportError:
            return Lost("connection")

    def _tell_clock(self, headers: Iterable[tuple[bytes, bytes]], asked_ns: int) -> None:
        if self.on_clock is None or not asked_ns:
            return
        bounds = clock_bounds(headers, asked_ns, self._clock.now_ns())
        if bounds is not None:
            self.on_clock(bounds)

    def _head(self, method: str, target: str, signed: dict[str, str], length: int) -> bytes:
        lines = "".join([f"{name}: {value}\r\n" for name, value in signed.items()])
        if length:
            lines += f"content-type: application/json\r\ncontent-length: {length}\r\n"
        elif method != "GET":
            lines += "content-length: 0\r\n"
        tail = f"{lines}\r\n".encode("latin-1")
        return (self._prepared.get((method, target)) or self._prefix(method, target)) + tail

    def _prefix(self, method: str, target: str) -> bytes:
        line = f"{method} {target} HTTP/1.1\r\nhost: ".encode("ascii")
        return line + self._netloc + b"\r\naccept: application/json\r\nuser-agent: dora\r\n"

    async def _call_stock(  # noqa: PLR0917 - a private continuation of `call`, called once
        self,
        method: str,
        target: str,
        signed: dict[str, str],
        body: bytes,
        seconds: float,
        guard: Guard | None,
        on_wire: OnWire | None,
    ) -> Answer | Unsent:
        request = httpx.Request(
            method,
            self._origin + target,
            headers={
                **signed,
                "accept": "application/json",
                **({"content-type": "application/json"} if body else {}),
            },
            content=body or None,
            extensions={
                "timeout": {"connect": seconds, "read": seconds, "write": seconds, "pool": seconds},
            },
        )
        # A stock transport gives no later moment than this one.
        if guard is not None and (reason := guard()) is not None:
            return Unsent(reason)
        if on_wire is not None:
            on_wire(self._clock.mono_ns())
        asked_ns = 0 if self.on_clock is None else self._clock.now_ns()
        response = await self._transport.handle_async_request(request)
        self._tell_clock(response.headers.raw, asked_ns)
        try:
            return Answer(response.status_code, await response.aread())
        finally:
            await response.aclose()


def _is_stamp_old(answer: Answer | Lost | Unsent) -> bool:
    return isinstance(answer, Answer) and answer.status == 401 and _STAMP_OLD in answer.body

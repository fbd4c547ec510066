"""The HTTP face under ``/trade-api/v2``: read, authenticate, bill, answer, tell.

A plain ASGI application, because the order path is measured in microseconds.
The answer's bytes are handed to the connection first and the events of the
request are sent to the feed right after, in the same step of the loop; any
order is legal at the venue (kalshi-api 25.1), and this one is kept.

Bad input is counted by kind in ``door.counters``, logged once per kind, and
changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

from libs.common.runtime.clock import Clock
from services.simexchange.core.faults import FaultKind, FaultRule
from services.simexchange.core.requests import Rejection
from services.simexchange.core.venue import Venue
from services.simexchange.shell.auth import OUT_OF_SCOPE, Key, KeyRing
from services.simexchange.shell.date import DateHeader
from services.simexchange.shell.door import Door, Route
from services.simexchange.shell.reply import (
    NO_SUCH_PATH,
    TOO_MANY,
    Call,
    Reply,
    ReplyError,
    bad_request,
    ok,
    refused,
)
from services.simexchange.shell.rest_exchange import ExchangeRoutes
from services.simexchange.shell.rest_funding import FundingRoutes
from services.simexchange.shell.rest_groups import GroupRoutes
from services.simexchange.shell.rest_keys import KeyRoutes
from services.simexchange.shell.rest_markets import MarketRoutes
from services.simexchange.shell.rest_orders import OrderRoutes
from services.simexchange.shell.rest_portfolio import PortfolioRoutes
from services.simexchange.shell.router import Router
from services.simexchange.shell.sickness import Sickness
from services.simexchange.shell.tamper import tampered

ROOT: Final = "/trade-api/v2"
BODY_BYTES_MAX: Final = 4 * 1024 * 1024

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("dora.simexchange")

_KEY, _STAMP, _SIGN, _TYPE = (
    b"kalshi-access-key",
    b"kalshi-access-timestamp",
    b"kalshi-access-signature",
    b"content-type",
)
_BROKEN = Reply(500, b'{"code":"internal_server_error","message":"internal server error"}')


class RestFace:
    """ASGI application of the trade API.

    Args:
        venue: The core.
        keys: Who may sign.
        clock: The venue's clock.
        on_change: Called after every request, when the venue may hold new events: sends them to the feed.
    """

    def __init__(self, venue: Venue, keys: KeyRing, clock: Clock, on_change: Callable[[], None]) -> None:
        self.door = Door(venue)
        self.keys = keys
        self._venue = venue
        self._clock = clock
        self._on_change = on_change
        parts = (OrderRoutes, PortfolioRoutes, FundingRoutes, GroupRoutes, MarketRoutes, ExchangeRoutes)
        listed = [route for part in parts for route in part(self.door).routes()]
        self._router = Router([*listed, *KeyRoutes(self.door, keys).routes()])
        self._seen: set[str] = set()
        self.sickness = Sickness(venue)
        self.date = DateHeader()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await _read_body(receive)
        method, path = scope["method"], scope["path"].removeprefix(ROOT)
        rule = self._venue.faults.take(method, path) if self._venue.faults.rules else None
        if rule is None:
            reply = self._answer(scope, method, path, body)
            try:
                await self._send(send, reply)
            finally:
                self._on_change()
            return
        await self._answer_badly(rule, scope, method, path, body, receive, send)

    def _answer(self, scope: Scope, method: str, path: str, body: bytes | None) -> Reply:
        """Return the reply; refusals raised on the way become theirs here."""
        try:
            return self._handle(scope, method, path, body)
        except ReplyError as e:
            self._count(e.kind, path)
            return e.reply
        except Exception:  # an endpoint's edge: no text of ours to the caller, all of it to the log
            log.exception("endpoint_failed")
            self.door.counters["internal_server_error"] += 1
            return _BROKEN

    def _handle(self, scope: Scope, method: str, path: str, body: bytes | None) -> Reply:
        found = self._router.find(method, path)
        if found is None:
            if path.endswith("/") and self._router.find(method, path.rstrip("/")) is not None:
                return Reply(301, b"", b"text/html; charset=utf-8", f"{ROOT}{path.rstrip('/')}".encode())
            return NO_SUCH_PATH
        route, path_args = found
        now_ns = self._clock.now_ns()
        self._venue.advance(now_ns)
        headers = dict(scope["headers"])
        key = self._authenticate(route, headers, scope, method, now_ns)
        if isinstance(key, Rejection):
            self._count(key.details or key.code, path)
            return refused(key)
        if key is not None and not key.may(method, route.scope):
            self._count(OUT_OF_SCOPE.code, path)
            return refused(OUT_OF_SCOPE)
        if body is None:
            raise bad_request("http: request body too large")
        if body and b"json" not in headers.get(_TYPE, b""):
            raise bad_request("Content-Type must be application/json", "invalid_content_type")
        query = scope["query_string"]
        call = Call(
            method,
            path,
            key.account if key is not None else "",
            now_ns,
            path_args,
            parse_qs(query.decode("latin-1"), keep_blank_values=True) if query else {},
            body,
        )
        if route.cost and call.account:
            self.door.bill_read(call, route.cost)
        return self.sickness.answer(call, path) or route.handler(call)

    def _authenticate(
        self, route: Route, headers: dict[bytes, bytes], scope: Scope, method: str, now_ns: int
    ) -> Key | Rejection | None:
        """Return who signed, None for an unsigned call of a public endpoint, or the refusal."""
        if route.is_public and _KEY not in headers:
            return None
        raw_path = scope.get("raw_path") or scope["path"].encode()
        return self.keys.check(
            headers.get(_KEY, b"").decode("latin-1"),
            headers.get(_STAMP, b"").decode("latin-1"),
            headers.get(_SIGN, b"").decode("latin-1"),
            method,
            raw_path.decode("latin-1"),
            now_ns,
        )

    async def _answer_badly(  # noqa: PLR0917 - one request's facts
        self,
        rule: FaultRule,
        scope: Scope,
        method: str,
        path: str,
        body: bytes | None,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer under a thrown fault; what was done is told on the feed at once, whatever is heard."""
        match rule.kind:
            case FaultKind.DROP_REQUEST:
                await _hang_up(receive, send)
                return
            case FaultKind.RATE_LIMIT:
                reply = TOO_MANY
            case FaultKind.ERROR_BEFORE:
                reply = ok({"code": "service_unavailable", "message": "service unavailable"}, rule.status)
            case _:
                if rule.kind is FaultKind.DELAY_BEFORE:
                    await asyncio.sleep(rule.seconds)
                reply = self._answer(scope, method, path, body)
                self._on_change()
        if rule.kind is FaultKind.DROP_RESPONSE:
            await _hang_up(receive, send)
            return
        if rule.kind is FaultKind.DELAY:
            await asyncio.sleep(rule.seconds)
        await self._send(send, tampered(rule, reply))

    async def _send(self, send: Send, reply: Reply) -> None:
        headers = [
            (b"content-type", reply.content_type),
            (b"content-length", str(len(reply.body)).encode()),
            self.date.line(self._clock.now_ns()),
        ]
        if reply.location:
            headers.append((b"location", reply.location))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def _count(self, kind: str, path: str) -> None:
        self.door.counters[kind] += 1
        if kind not in self._seen:
            self._seen.add(kind)
            log.info("request_refused", extra={"kind": kind, "path": path})


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body, or None if it is larger than anyone may send."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body if len(body) <= BODY_BYTES_MAX else None
    chunks, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        size += len(message.get("body", b""))
        if size <= BODY_BYTES_MAX:
            chunks.append(message.get("body", b""))
    return b"".join(chunks) if size <= BODY_BYTES_MAX else None


async def _hang_up(receive: Receive, send: Send) -> None:
    """Cut the connection without an answer, as a broken edge does."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    assert transport is not None, "the server's own send, so that its connection can be cut"
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass

"""The way to the venue and back: every answer of the trade API takes a seeded random time.

Half of it passes before the request is read and half before the answer leaves,
so that an order is done at the venue while its sender does not know it yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from services.simexchange.core.faults import Chance
from services.simexchange.shell.http_app import HttpApp
from services.simexchange.shell.rest import ROOT, Receive, Scope, Send

_KEY: Final = b"kalshi-access-key"


class Distance:
    """``ms_min`` to ``ms_max`` milliseconds, there and back; 0 is here."""

    def __init__(self, ms_min: float, ms_max: float, chance: Chance) -> None:
        self._chance = chance
        self.move(ms_min, ms_max)

    def move(self, ms_min: float, ms_max: float) -> None:
        """Change it, for requests from now on."""
        self._s_min = ms_min / 1000
        self._s_range = (ms_max - ms_min) / 1000
        self.is_here = ms_max <= 0

    def one_way_s(self) -> float:
        """Return how long one request is on its way."""
        return (self._s_min + self._s_range * self._chance.random()) / 2


class Distant:
    """An application at a distance; ``on_arrival`` hears of a request when its bytes are there."""

    def __init__(
        self,
        app: HttpApp,
        distance: Distance,
        on_arrival: Callable[[str, str, str], None] = lambda _method, _path, _key: None,
    ) -> None:
        self._app = app
        self._distance = distance
        self._on_arrival = on_arrival

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, late."""
        if scope["type"] != "http" or not scope["path"].startswith(ROOT):
            await self._app(scope, receive, send)
            return
        key = next((value for name, value in scope["headers"] if name == _KEY), b"-")
        self._on_arrival(scope["method"], scope["path"], key.decode("latin-1"))
        if self._distance.is_here:
            await self._app(scope, receive, send)
            return
        way_s = self._distance.one_way_s()
        await asyncio.sleep(way_s)
        await self._app(scope, receive, _LateSend(send, way_s))


class _LateSend:
    """A send that waits before the first bytes; ``__self__`` is the server's, as it is of its own send."""

    def __init__(self, send: Send, way_s: float) -> None:
        self._send = send
        self._way_s = way_s
        self.__self__ = getattr(send, "__self__", None)

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            await asyncio.sleep(self._way_s)
        await self._send(message)

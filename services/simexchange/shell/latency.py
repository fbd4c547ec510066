"""The way to the venue and back: every answer of the trade API takes a seeded random time.

Half of it passes before the request is read and half before the answer leaves,
so that an order is done at the venue while its sender does not know it yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from services.simexchange.core.faults import Chance
from services.simexchange.shell.http_app import HttpApp
from services.simexchange.shell.rest import ROOT, Receive, Scope, Send


class Distant:
    """An application at a distance of ``ms_min`` to ``ms_max`` milliseconds, there and back."""

    def __init__(self, app: HttpApp, ms_min: float, ms_max: float, chance: Chance) -> None:
        self._app = app
        self._s_min = ms_min / 1000
        self._s_range = (ms_max - ms_min) / 1000
        self._chance = chance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, late."""
        if scope["type"] != "http" or not scope["path"].startswith(ROOT):
            await self._app(scope, receive, send)
            return
        way_s = (self._s_min + self._s_range * self._chance.random()) / 2
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

"""The HTTP application as a whole: the trade API, the other side of the counter, nothing else.

Requests of the trade API go straight to it; only ``/sim`` pays for Starlette's
routing. The feed has its own door (``ws*.py``).
"""

from __future__ import annotations

from starlette.applications import Starlette

from services.simexchange.shell.rest import ROOT, Receive, RestFace, Scope, Send


class HttpApp:
    """ASGI application for uvicorn (run it with ``lifespan="off"``)."""

    def __init__(self, rest: RestFace, admin: Starlette) -> None:
        self._rest = rest
        self._admin = admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the request through its door."""
        if scope["type"] == "http" and scope["path"].startswith(ROOT):
            await self._rest(scope, receive, send)
        else:
            await self._admin(scope, receive, send)

"""The simulated venue's own questions, outside the trading interface: how far the tape is, what is true."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx


def admin_url(rest_url: str, path: str) -> str:
    """Return the address of ``/sim/<path>`` on the host of the REST interface."""
    parts = urlsplit(rest_url)
    return f"{parts.scheme}://{parts.netloc}/sim/{path}"


async def ask(rest_url: str, path: str) -> dict[str, Any] | None:
    """Return the answer of ``/sim/<path>``, or None where the venue has none."""
    try:
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            answer = await client.get(admin_url(rest_url, path))
            if answer.status_code != httpx.codes.OK:
                return None
            body = answer.json()
    except (httpx.HTTPError, ValueError):
        return None
    return body if isinstance(body, dict) else None

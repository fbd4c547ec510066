"""The small HTTP face answers its pages and survives callers that speak something else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from libs.common.observability.http import HttpFace


@pytest.fixture
async def port() -> AsyncIterator[int]:
    face = HttpFace(
        {"/metrics": lambda: (200, "text/plain", b"a 1\n"), "/readyz": lambda: (503, "text/plain", b"no\n")}
    )
    yield await face.start("127.0.0.1", 0)
    await face.stop()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /metrics HTTP/1.1", b"200 OK", b"a 1\n"),
        (b"GET /metrics?x=1 HTTP/1.0", b"200 OK", b"a 1\n"),
        (b"HEAD /metrics HTTP/1.1", b"200 OK", b""),
        (b"GET /readyz HTTP/1.1", b"503 Service Unavailable", b"no\n"),
        (b"GET /else HTTP/1.1", b"404 Not Found", b"not found\n"),
        (b"POST /metrics HTTP/1.1", b"405 Method Not Allowed", b"GET only\n"),
        (b"nonsense", b"405 Method Not Allowed", b"GET only\n"),
    ],
)
async def test_a_request_gets_its_answer(port: int, request_line: bytes, status: bytes, body: bytes) -> None:
    answer = await ask(port, request_line + b"\r\nHost: x\r\n\r\n")
    head, _, said = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert said == body


@pytest.mark.parametrize("noise", [b"", b"GET", b"\x00" * 20_000, b"A" * 20_000])
async def test_noise_gets_nothing_and_the_face_stays(port: int, noise: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        assert await ask(port, noise) == b""
    assert b"a 1\n" in await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")

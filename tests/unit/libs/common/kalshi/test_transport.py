import asyncio
import contextlib
import fcntl
import ipaddress
import socket
import ssl
import struct
import termios
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from libs.common.kalshi.transport import LeanTransport, SendAborted, make_transport
from tests.support.eventually import eventually
from tests.support.scripted_http import DROP, HANG, ScriptedHttp, Seen, answer, scripted_http


def head(transport: LeanTransport, length: int = 0) -> bytes:
    line = b"POST /trade-api/v2/x HTTP/1.1\r\nhost: " + transport.netloc
    return line + b"\r\ncontent-length: %d\r\n\r\n" % length


@pytest.fixture
async def http() -> AsyncIterator[ScriptedHttp]:
    async with scripted_http(lambda seen: answer(200, {"echo": seen.body.decode()})) as running:
        yield running


@pytest.fixture
async def transport(http: ScriptedHttp) -> AsyncIterator[LeanTransport]:
    made = make_transport(http.url, connections_max=2)
    yield made
    await made.aclose()


async def test_requests_one_after_another_share_a_connection(
    http: ScriptedHttp, transport: LeanTransport
) -> None:
    for n in range(3):
        raw = await transport.exchange(head(transport, 1), b"%d" % n)
        assert (raw.status, raw.body) == (200, b'{"echo":"%d"}' % n)

    assert http.connections == 1


async def test_requests_at_once_take_their_own_connections_up_to_the_bound(
    http: ScriptedHttp, transport: LeanTransport
) -> None:
    answers = await asyncio.gather(*(transport.exchange(head(transport, 1), b"%d" % n) for n in range(6)))

    assert [a.body for a in answers] == [b'{"echo":"%d"}' % n for n in range(6)]
    assert http.connections == 2


async def test_it_serves_an_httpx_client(http: ScriptedHttp, transport: LeanTransport) -> None:
    async with httpx.AsyncClient(transport=transport, base_url=http.url) as client:
        posted = await client.request("DELETE", "/portfolio?x=1", json={"a": 1}, headers={"X-Own": "yes"})

    assert posted.json() == {"echo": '{"a":1}'}
    seen = http.seen[0]
    assert (seen.method, seen.target, seen.headers["x-own"]) == (
        "DELETE",
        "/trade-api/v2/portfolio?x=1",
        "yes",
    )
    assert seen.headers["content-type"] == "application/json"


async def test_another_host_is_refused_before_anything_is_sent(transport: LeanTransport) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        await transport.handle_async_request(httpx.Request("GET", "http://elsewhere.invalid/"))


async def test_the_guard_is_asked_last_and_its_refusal_leaves_the_connection_unused(
    http: ScriptedHttp, transport: LeanTransport
) -> None:
    await transport.warm(1)
    order: list[str] = []

    def refuse() -> str:
        order.append("guard")
        return "halted"

    with pytest.raises(SendAborted, match="halted"):
        await transport.exchange(head(transport), b"", guard=refuse, on_wire=lambda _: order.append("wire"))
    raw = await transport.exchange(
        head(transport), b"", guard=lambda: order.append("ok"), on_wire=lambda _: order.append("wire")
    )

    assert raw.status == 200
    assert order == ["guard", "ok", "wire"]
    assert len(http.seen) == 1
    assert http.connections == 1


async def test_an_idle_connection_closed_by_the_peer_is_replaced_before_a_byte_is_written(
    http: ScriptedHttp, transport: LeanTransport
) -> None:
    await transport.exchange(head(transport), b"")
    http.drop_all()
    await eventually(lambda: not transport._idle[0].is_usable)

    assert (await transport.exchange(head(transport), b"")).status == 200
    assert len(http.seen) == 2
    assert transport.connects_total == 2


async def test_an_old_idle_connection_is_not_used_again(http: ScriptedHttp) -> None:
    transport = make_transport(http.url, idle_s=0.0)
    await transport.exchange(head(transport), b"")
    await transport.exchange(head(transport), b"")
    await transport.aclose()

    assert http.connections == 2


async def test_a_request_whose_answer_never_comes_ends_at_its_deadline_and_is_not_repeated() -> None:
    async with scripted_http(lambda _: HANG) as http:
        transport = make_transport(http.url)
        with pytest.raises(httpx.ReadTimeout):
            await transport.exchange(head(transport), b"", deadline_s=0.05)
        await transport.aclose()

    assert len(http.seen) == 1


async def test_a_connection_lost_after_writing_is_an_error_and_is_not_repeated() -> None:
    async with scripted_http(lambda _: DROP) as http:
        transport = make_transport(http.url)
        with pytest.raises(httpx.ReadError):
            await transport.exchange(head(transport), b"")
        await transport.aclose()

    assert len(http.seen) == 1


async def test_a_late_answer_of_a_timed_out_request_reaches_nobody() -> None:
    release = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await release.wait()
        writer.write(answer(200, {"late": True}))
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    transport = make_transport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    with pytest.raises(httpx.ReadTimeout):
        await transport.exchange(head(transport), b"", deadline_s=0.05)
    release.set()

    assert (await transport.exchange(head(transport), b"")).body == b'{"late":true}'
    assert transport.connects_total == 2
    await transport.aclose()
    server.close()


async def test_a_cancelled_request_closes_its_connection() -> None:
    async with scripted_http(lambda _: HANG) as http:
        transport = make_transport(http.url, connections_max=1)
        sending = asyncio.create_task(transport.exchange(head(transport), b""))
        await eventually(lambda: http.seen)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        http.script = lambda _: answer(200)
        assert (await transport.exchange(head(transport), b"")).status == 200
        await transport.aclose()


async def test_no_free_connection_before_the_deadline_means_that_nothing_was_sent() -> None:
    async with scripted_http(lambda _: HANG) as http:
        transport = make_transport(http.url, connections_max=1)
        holding = asyncio.create_task(transport.exchange(head(transport), b""))
        await eventually(lambda: http.seen)
        with pytest.raises(httpx.PoolTimeout):
            await transport.exchange(head(transport), b"", deadline_s=0.05)
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        await transport.aclose()

    assert len(http.seen) == 1


async def test_a_host_that_does_not_listen_is_a_connect_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        transport = make_transport(f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(httpx.ConnectError):
            await transport.exchange(head(transport), b"")


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
async def test_answers_of_every_form_are_read_whole(raw: bytes, body: bytes) -> None:
    async with scripted_http(lambda _: raw) as http:
        transport = make_transport(http.url)
        for _ in range(2):
            assert (await transport.exchange(head(transport), b"")).body == body
        await transport.aclose()

    assert http.connections == 1


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    async def until_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad\r\ncontent-type: text/html\r\n\r\n<html>")
        writer.close()

    server = await asyncio.start_server(until_close, "127.0.0.1", 0)
    transport = make_transport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    raw = await transport.exchange(head(transport), b"")

    assert (raw.status, raw.body) == (502, b"<html>")
    await transport.aclose()
    server.close()


async def test_an_answer_cut_off_before_its_length_is_an_error() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{")
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    transport = make_transport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    with pytest.raises(httpx.ReadError):
        await transport.exchange(head(transport), b"")
    await transport.aclose()
    server.close()


async def test_what_is_no_http_is_a_protocol_error() -> None:
    async with scripted_http(lambda _: b"SSH-2.0-nope\r\n\r\n") as http:
        transport = make_transport(http.url)
        with pytest.raises(httpx.RemoteProtocolError):
            await transport.exchange(head(transport), b"")
        await transport.aclose()


async def test_an_answer_nobody_asked_for_closes_the_connection() -> None:
    def twice(_: Seen) -> bytes:
        return answer(200, {"n": 1}) + answer(200, {"n": 2})

    async with scripted_http(twice) as http:
        transport = make_transport(http.url)
        assert (await transport.exchange(head(transport), b"")).status == 200
        await transport.exchange(head(transport), b"")
        await transport.aclose()

    assert http.connections == 2


async def test_a_connection_that_the_peer_will_close_is_not_kept() -> None:
    async with scripted_http(lambda _: answer(200, {}, close=True)) as http:
        transport = make_transport(http.url)
        await transport.exchange(head(transport), b"")
        await transport.exchange(head(transport), b"")
        await transport.aclose()

    assert http.connections == 2


def own_certificate(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return contexts of a server on 127.0.0.1 and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "server.txt"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=path)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_it_speaks_tls_and_trusts_only_who_it_should(run: Callable[..., None], tmp_path: Path) -> None:
    async def scenario() -> None:
        server_side, client_side = own_certificate(tmp_path)
        server = await asyncio.start_server(
            ScriptedHttp(lambda _: answer(200, {"tls": True})).serve, "127.0.0.1", 0, ssl=server_side
        )
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        trusting = make_transport(url, ssl_context=client_side)
        for _ in range(3):
            assert (await trusting.exchange(head(trusting), b"")).body == b'{"tls":true}'
        assert trusting.connects_total == 1
        wary = make_transport(url)
        with pytest.raises(httpx.ConnectError):
            await wary.exchange(head(wary), b"")
        await trusting.aclose()
        server.close()

    run(scenario())


def test_on_uvloop_a_lost_answer_and_a_deadline_end_as_on_asyncio() -> None:
    async def scenario() -> None:
        async with scripted_http(lambda _: DROP) as http:
            transport = make_transport(http.url)
            with pytest.raises(httpx.ReadError):
                await transport.exchange(head(transport), b"")
            http.script = lambda _: HANG
            with pytest.raises(httpx.ReadTimeout):
                await transport.exchange(head(transport), b"", deadline_s=0.05)
            http.script = lambda _: answer(200)
            assert (await transport.exchange(head(transport), b"")).status == 200
            http.drop_all()
            await eventually(lambda: not transport._idle[0].is_usable)
            assert (await transport.exchange(head(transport), b"")).status == 200
            await transport.aclose()

    uvloop.run(scenario())


async def test_request_given_up_at_its_deadline_does_not_reach_the_venue_later() -> None:
    """The kernel goes on sending what a closed socket left behind; an order must not arrive like that."""
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    listener.setblocking(False)
    transport = make_transport(f"http://127.0.0.1:{listener.getsockname()[1]}/")
    body = b"x" * 8_000_000
    asking = asyncio.create_task(transport.exchange(b"POST / HTTP/1.1\r\n\r\n", body, deadline_s=0.2))
    peer, _ = await loop.sock_accept(listener)
    with pytest.raises(httpx.ReadTimeout):
        await asking
    # What had reached the peer's own queue by then has arrived; nothing else may follow.
    (there,) = struct.unpack("i", fcntl.ioctl(peer, termios.FIONREAD, b"\0\0\0\0"))
    arrived = 0
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(5):
            while piece := await loop.sock_recv(peer, 1 << 20):
                arrived += len(piece)
    assert arrived <= there
    peer.close()
    listener.close()

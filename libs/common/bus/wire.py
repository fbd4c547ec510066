"""The server's JetStream API in JSON: what we ask and what it answers.

Only the few calls that a running service may make; see docs/adr/0002-bus-guards.md
for why reading needs no consumer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import msgspec

from libs.common.bus.api import Ack, AppendRefused, BusError, BusUnavailable, Fence, Message

API: Final = "$JS.API."
MESSAGE_ID: Final = "Nats-Msg-Id"
_EXPECTED_SEQUENCE: Final = "Nats-Expected-Last-Subject-Sequence"
_EXPECTED_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence-Subject"

_WRONG_SEQUENCE: Final = frozenset({10071, 10164})
"""Both mean that the fence did not hold (nats.py #883)."""
_NOT_SERVED: Final = frozenset({10008, 10009, 10076})
"""No leader, no quorum, JetStream off: nothing was done."""
_NO_MESSAGE: Final = 10037
_NO_STREAM: Final = 10059


class ApiError(msgspec.Struct, frozen=True):
    """The error member of every answer."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class PubAck(msgspec.Struct, frozen=True):
    """Answer to a publish that a stream captured."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


class StoredMessage(msgspec.Struct, frozen=True):
    """One message of a stream; bytes arrive in base64."""

    subject: str
    seq: int
    data: bytes = b""
    hdrs: bytes = b""
    time: str = ""


class GetAnswer(msgspec.Struct, frozen=True):
    """Answer to STREAM.MSG.GET."""

    message: StoredMessage | None = None
    error: ApiError | None = None


class StreamState(msgspec.Struct, frozen=True):
    """What is in a stream."""

    messages: int = 0
    first_seq: int = 0
    last_seq: int = 0
    subjects: dict[str, int] | None = None


class InfoAnswer(msgspec.Struct, frozen=True):
    """Answer to STREAM.INFO; ``config`` is compared by `streams.py`."""

    config: dict[str, object] = {}
    state: StreamState = StreamState()
    error: ApiError | None = None
    total: int = 0


_ACK = msgspec.json.Decoder(PubAck)
_GET = msgspec.json.Decoder(GetAnswer)
_INFO = msgspec.json.Decoder(InfoAnswer)


def append_headers(msg_id: str, fence: Fence | None) -> dict[str, str]:
    """Return the headers of an append in a fresh dictionary."""
    headers = {MESSAGE_ID: msg_id}
    if fence is not None:
        headers[_EXPECTED_SEQUENCE] = str(fence.sequence)
        headers[_EXPECTED_SUBJECT] = fence.subject
    return headers


def parse_ack(data: bytes) -> PubAck | None:
    """Return the acknowledgement, or None if the bytes are somebody else's answer to the same message.

    A halt is answered by the stream and by the executor: only the stream's word counts here.
    """
    try:
        answer = _ACK.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return answer if answer.stream or answer.error is not None else None


def ack_or_error(answer: PubAck, subject: str) -> Ack:
    """Return the stored append.

    Raises:
        AppendRefused: The fence or the server said no.
        BusUnavailable: JetStream is not served.
    """
    error = answer.error
    if error is None:
        return Ack(answer.seq, answer.duplicate)
    text = f"append to {subject}: {error.description} ({error.err_code})"
    if error.err_code in _WRONG_SEQUENCE:
        raise AppendRefused(text, is_fence=True)
    if error.err_code in _NOT_SERVED:
        raise BusUnavailable(text)
    raise AppendRefused(text, is_fence=False)


def parse_get(data: bytes) -> Message | None:
    """Return the message, or None if there is none.

    Raises:
        BusUnavailable: The stream is missing or not served; unreadable is not empty.
    """
    try:
        answer = _GET.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise BusUnavailable(f"an answer to a stream read, was {data[:80]!r} ({e})") from None
    if answer.message is None:
        if answer.error is not None and answer.error.err_code == _NO_MESSAGE:
            return None
        raise BusUnavailable(f"a stream that can be read, was: {_said(answer.error)}")
    found = answer.message
    headers = parse_headers(found.hdrs)
    return Message(found.subject, found.data, headers, None, found.seq, time.monotonic_ns(), found.time)


def parse_info(data: bytes) -> InfoAnswer | None:
    """Return what the server says about a stream, or None if there is no such stream.

    Raises:
        BusUnavailable: No usable answer.
    """
    try:
        answer = _INFO.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise BusUnavailable(f"an answer about a stream, was {data[:80]!r} ({e})") from None
    if answer.error is None:
        return answer
    if answer.error.err_code == _NO_STREAM:
        return None
    raise BusUnavailable(f"an answer about a stream, was: {_said(answer.error)}")


def parse_headers(raw: bytes) -> dict[str, str]:
    """Return the headers of a block, with or without its first line.

    The client's own parser looks at every character of every name and costs
    more than the rest of a message's way through the client.
    """
    headers: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip()] = value.strip()
    return headers


def header_block(headers: Mapping[str, str]) -> bytes:
    """Return the headers as they go on the wire.

    Raises:
        ValueError: A name or value would end its line and begin another (injection), or a name is none.
    """
    lines = ["NATS/1.0"]
    for name, value in headers.items():
        line = f"{name}: {value}"
        if not name or ":" in name or "\r" in line or "\n" in line:
            raise ValueError(f"a header name and value of one line, was {name[:40]!r}: {value[:80]!r}")
        lines.append(line)
    return "\r\n".join((*lines, "", "")).encode()


def publish_command(subject: str, reply: str, block: bytes, data: bytes) -> bytes:
    """Return the protocol command that publishes; the payload is copied once, here."""
    head = f"HPUB {subject} {reply} " if reply else f"HPUB {subject} "
    sizes = f"{len(block)} {len(block) + len(data)}\r\n"
    return b"".join(((head + sizes).encode(), block, data, b"\r\n"))


def sequence_of_reply(reply: str) -> int:
    """Return the stream sequence that a consumer's delivery carries in its reply subject.

    Raises:
        BusError: Not a delivery's reply subject.
    """
    tokens = reply.split(".")
    place = 5 if len(tokens) == 9 else 7
    if not reply.startswith("$JS.ACK.") or len(tokens) < 9 or not tokens[place].isdigit():
        raise BusError(f"the reply subject of a delivery, was {reply!r}")
    return int(tokens[place])


def _said(error: ApiError | None) -> str:
    return f"{error.description} ({error.err_code})" if error is not None else "nothing"

"""Answers of the server are read strictly, and what cannot be read is not "empty"."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.bus.api import Ack, AppendRefused, BusError, BusUnavailable, Fence
from libs.common.bus.wire import (
    ack_or_error,
    append_headers,
    header_block,
    parse_ack,
    parse_get,
    parse_headers,
    parse_info,
    publish_command,
    sequence_of_reply,
)

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1)
VALUES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]))


def error(code: int, err_code: int) -> bytes:
    return json.dumps({"error": {"code": code, "err_code": err_code, "description": "no"}, "seq": 0}).encode()


def acknowledged(data: bytes) -> Ack:
    answer = parse_ack(data)
    assert answer is not None
    return ack_or_error(answer, "x")


def test_an_acknowledgement_is_read() -> None:
    assert acknowledged(b'{"stream":"S","seq":7}') == Ack(7, is_duplicate=False)
    assert acknowledged(b'{"stream":"S","seq":7,"duplicate":true,"domain":"x"}') == Ack(7, is_duplicate=True)


@pytest.mark.parametrize("data", [b"", b"{}", b"ok", b'{"state":"halted"}', b"[1]", b'{"stream":3}', b"\xff"])
def test_another_answer_is_no_acknowledgement(data: bytes) -> None:
    assert parse_ack(data) is None


@pytest.mark.parametrize(
    ("err_code", "is_fence"), [(10071, True), (10164, True), (10023, False), (10077, False)]
)
def test_a_refusal_says_whether_it_was_the_fence(err_code: int, is_fence: bool) -> None:
    with pytest.raises(AppendRefused) as refused:
        acknowledged(error(400, err_code))
    assert refused.value.is_fence is is_fence


@pytest.mark.parametrize("err_code", [10008, 10009, 10076])
def test_a_stream_without_leader_is_unavailable(err_code: int) -> None:
    with pytest.raises(BusUnavailable):
        acknowledged(error(503, err_code))


def test_a_stored_message_is_read_with_its_headers() -> None:
    stored = {
        "subject": "a",
        "seq": 3,
        "data": base64.b64encode(b"\x00body").decode(),
        "hdrs": base64.b64encode(b"NATS/1.0\r\nNats-Msg-Id: i:1\r\nk: v\r\n\r\n").decode(),
    }
    message = parse_get(json.dumps({"type": "x", "message": stored}).encode())
    assert message is not None
    assert (message.subject, message.data, message.sequence) == ("a", b"\x00body", 3)
    assert message.headers == {"Nats-Msg-Id": "i:1", "k": "v"}


def test_only_the_servers_own_word_means_that_nothing_is_there() -> None:
    assert parse_get(error(404, 10037)) is None
    for data in (error(404, 10059), error(503, 10008), b"", b"{}", b'{"message":{}}'):
        with pytest.raises(BusUnavailable):
            parse_get(data)


def test_a_missing_stream_is_told_from_an_answer_that_cannot_be_read() -> None:
    assert parse_info(error(404, 10059)) is None
    for data in (error(503, 10008), b"nonsense", b""):
        with pytest.raises(BusUnavailable):
            parse_info(data)


def test_a_fence_is_two_headers() -> None:
    assert append_headers("i", None) == {"Nats-Msg-Id": "i"}
    assert append_headers("i", Fence("ctl.>", 4)) == {
        "Nats-Msg-Id": "i",
        "Nats-Expected-Last-Subject-Sequence": "4",
        "Nats-Expected-Last-Subject-Sequence-Subject": "ctl.>",
    }


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_headers_survive_their_way(headers: dict[str, str]) -> None:
    assert parse_headers(header_block(headers)) == headers


@pytest.mark.parametrize(
    "headers", [{"k": "a\r\nPUB x 0"}, {"k\n": "v"}, {"": "v"}, {"a:b": "v"}, {"k": "a\rb"}]
)
def test_a_header_cannot_smuggle_a_command(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="one line"):
        header_block(headers)


def test_a_command_counts_bytes_not_characters() -> None:
    block = header_block({"k": "ü"})
    assert (
        publish_command("s", "", block, b"hi")
        == b"HPUB s %d %d\r\n" % (len(block), len(block) + 2) + block + b"hi\r\n"
    )
    assert publish_command("s", "r", block, b"").startswith(b"HPUB s r ")


def test_a_delivery_tells_its_place_in_the_stream() -> None:
    assert sequence_of_reply("$JS.ACK.S.c.1.77.5.1690000000.0") == 77
    assert sequence_of_reply("$JS.ACK._.hash.S.c.1.78.5.1690000000.0.token") == 78
    for reply in ("", "_INBOX.x", "$JS.ACK.S.c.1.x.5.1.0"):
        with pytest.raises(BusError):
            sequence_of_reply(reply)
